#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The machine goes to sleep, up to where all processes are frozen: a disk goes on afterwards. It does not
# where a driver would wait for one of these processes.
# variants: vloop-blk
. "$SYSTEM/lib.sh"

readonly POWER=/sys/power
[[ -w $POWER/pm_test ]] || skip "this kernel has no pm_test"
readonly THRESHOLD=/proc/sys/kernel/watchdog_thresh
cleanup_fn eval "echo none >$POWER/pm_test; echo 1 >$POWER/sync_on_suspend; echo $(<$THRESHOLD) >$THRESHOLD"
# Five seconds, and no device of the machine sees anything of it.
echo freezer >$POWER/pm_test
# One CPU spends them in a loop, in thousands of pieces: where the host is busy, on and on, that takes
# longer than the watchdog of soft lockups waits.
echo 60 >$THRESHOLD
# That would wait for a disk that says nothing, see doc/security.md.
echo 0 >$POWER/sync_on_suspend

go_to_sleep() {
	timeout "$SLOW" bash -c "echo freeze >$POWER/state" 2>sleep.log
}

# refused WORDS: and the log of the kernel says why.
refused() {
	! go_to_sleep || fail "the machine slept"
	grep -q 'resource busy' sleep.log || fail "it says: $(cat sleep.log)"
	dmesg | tail -n 20 | grep -q "virtio-loopback.*keeps the machine from sleeping: $1" ||
		fail "the kernel does not say why"
}

make_disk disk.img 64M
start_disk d disk.img
attach d blk --timeout 1
load_start "$(dev d)" --size=8m >load.log 2>&1
wait_busy d
go_to_sleep || fail "going to sleep: $(cat sleep.log)"
state_is d running || fail "the disk did not survive"
load_stop

# A driver of buses, and what they connect, may use it in the meantime. A disk that says nothing is looked
# at for as long as it takes.
python3 - <<'EOF' &
import ctypes
import os
import sys
import time

sys.path.insert(0, os.environ["SYSTEM"])
import vlb

bus = vlb.File()
bus.call(vlb.CREATE, vlb.create("bus", type=34))
bus.call(vlb.REGISTER, vlb.simple())
bus.event_until(vlb.REGISTERED)
open("bus.ready", "w").close()
vlb.wait_for("the end of the bus", lambda: os.path.exists("bus.over"))
bus.close()
vlb.wait_for("the bus goes", lambda: vlb.device_gone("bus"))

config = ctypes.create_string_buffer((2048).to_bytes(8, "little"), 60)
disk = vlb.File()
disk.call(vlb.CREATE, vlb.create("disk", type=2, config=ctypes.addressof(config), config_len=60))
disk.call(vlb.REGISTER, vlb.simple())
disk.event_until(vlb.DRIVER_OK)
open("disk.ready", "w").close()
while True:
    time.sleep(1)
EOF
wait_until "$SLOW" test -e bus.ready
refused 'its driver may use it'
touch bus.over
wait_until "$SLOW" test -e disk.ready
refused 'its driver is looking at it'
kill $!
wait_no_device disk

# One that waits for an answer with the lock of all networks, for which others wait, is waited for as
# long as when awake, although its back-end sleeps by then.
python3 - <<'EOF' &
import ctypes
import glob
import os
import subprocess
import sys
import time

sys.path.insert(0, os.environ["SYSTEM"])
import vlb

MAC, CTRL_VQ, CTRL_RX = 1 << 5, 1 << 17, 1 << 18


def is_stuck(process):
    """A command that takes that lock: it waits for it, or ends."""
    while process.poll() is None:
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
            if stat.read().rpartition(")")[2].split()[0] == "D":
                return True
    return False


def state():
    with open(vlb.CLASS + "card/state", encoding="ascii") as file:
        return file.read().strip()


config = ctypes.create_string_buffer(bytes((2, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0)), 12)
card = vlb.File()
card.call(vlb.CREATE, vlb.create("card", type=1, nqueues=3, timeout_ms=4000,
                                 features=vlb.VERSION_1 | MAC | CTRL_VQ | CTRL_RX,
                                 config=ctypes.addressof(config), config_len=12))
card.call(vlb.REGISTER, vlb.simple())
card.event_until(vlb.DRIVER_OK)
status = card.call(vlb.STATUS, vlb.status())
PATTERN = "/sys/class/virtio-loopback/card/virtio*/net/*"
vlb.wait_for("the interface", lambda: glob.glob(PATTERN))
change = ["ip", "link", "set", "dev", os.path.basename(glob.glob(PATTERN)[0])]
commands = [subprocess.Popen(change + ["up", "promisc", "on"])]
# Before Linux 6.6 drivers spin for the answer, and are not told of this queue.
waits = status["driver_features"] & CTRL_VQ
# On a slow machine its time may be over before anybody sleeps.
while waits and state() != "broken":
    commands.append(subprocess.Popen(change + ["mtu", str(1400 + len(commands))]))
    if is_stuck(commands[-1]):
        break
open("card.ready", "w").close()
if waits:
    card.event_until(vlb.BROKEN)
vlb.wait_for("a good night", lambda: os.path.exists("card.over"))
card.close()
for command in commands:
    command.wait()
vlb.wait_for("the card goes", lambda: vlb.device_gone("card"))
EOF
card=$!
wait_until "$SLOW" test -e card.ready
go_to_sleep || fail "the machine does not sleep beside a silent network card: $(cat sleep.log)"
touch card.over
ends "$card" "the network card" || fail "the network card"

# Nor may one that lets a device go, and waits for what is still out.
make_disk other.img 16M
start_disk e other.img
attach e blk
kill -STOP "${SERVER[e]}"
dd if=/dev/zero of="$(dev e)" bs=4k count=1 oflag=direct 2>dd.log &
writer=$!
waits() {
	(($(<"$CLASS/e/in_flight") > 0))
}
wait_until "$SLOW" waits || fail "no request is out"
vloop detach --timeout 0 e 2>detach.log || (($? == 10)) || fail "detach: $(cat detach.log)"
wait_state e removing
refused 'its driver is letting it go'
kill -CONT "${SERVER[e]}"
wait_no_device e
ends "$writer" dd || true
ends "${ADAPTER[e]}" "the adapter of e" || true
go_to_sleep || fail "going to sleep again: $(cat sleep.log)"
detach d
