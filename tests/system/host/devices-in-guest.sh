#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The guest's part of 30-qemu-devices.sh, with console_user.py at the other side.
set -euxo pipefail

# Nobody loads drivers here.
modprobe -a virtio_input evdev virtio_console

# await COMMAND...: until it succeeds, or the machine's time is over.
await() {
	until "$@"; do
		sleep 0.1
	done
}

# The terminal, beside everything else.
echo "visitor::1234:1234::/tmp:/bin/bash" >>/etc/passwd
echo "visitor::20000:0:99999:7:::" >>/etc/shadow
await test -c /dev/hvc0
setsid agetty --noclear --noissue hvc0 vt100 &
getty=$!

# An event node with the source's name, numbers, codes and axes.
find_node() {
	local name

	name=$(grep -l '^Scripted device$' /sys/class/input/event*/device/name)
	name=${name#/sys/class/input/} node=/dev/input/${name%%/*}
	[[ -c $node ]]
}
await find_node
evtest "$node" >/tmp/evtest 2>&1 &
reader=$!
await grep -q 'interrupt to exit' /tmp/evtest
kill "$reader"
grep -q 'bus 0x6 vendor 0x1234 product 0x2 version 0x3' /tmp/evtest
grep -q 'Event code 30 (KEY_A)' /tmp/evtest
grep -q 'Event code 272 (BTN_LEFT)' /tmp/evtest
grep -q 'Property type 0 (INPUT_PROP_POINTER)' /tmp/evtest
grep -Pzo 'ABS_X\)\n *Value +0\n *Min +-10\n *Max +1000\n *Flat +5\n *Resolution +40\n' /tmp/evtest

# Every packet once, whole and in order; each round begins when the LED is switched.
python3 - "$node" <<'PYTHON'
import os, struct, sys

EVENT = struct.Struct("qqHHi")
EV_SYN, EV_KEY, EV_REL, EV_LED = 0, 1, 2, 17
REL_X, KEY_A, LED_COMPOSE = 0, 30, 3
node = os.open(sys.argv[1], os.O_RDWR)

def packet():
    """The next one that has more than our own LED."""
    events = []
    while True:
        event = EVENT.unpack(os.read(node, EVENT.size))[2:]
        if event[0] == EV_SYN:
            assert event[1] == 0, "the reader was too late"
            if events:
                return events
        elif event[0] != EV_LED:
            events.append(event)

def expect(*event):
    assert (got := packet()) == [event], (got, event)

for led in [1, 0] * 25:
    os.write(node, EVENT.pack(0, 0, EV_LED, LED_COMPOSE, led) + EVENT.pack(0, 0, EV_SYN, 0, 0))
    for x in range(1, 21):
        expect(EV_REL, REL_X, x)
expect(EV_KEY, KEY_A, 1)
expect(EV_KEY, KEY_A, 0)
PYTHON

# The user logs out, and goes on with the port.
wait "$getty"

port_of() {
	local file

	file=$(grep -lx "$1" /sys/class/virtio-ports/*/name) || return
	file=${file%/name} port=/dev/${file##*/}
	[[ -c $port ]]
}
await port_of data
exec 7<>"$port"
cat /results/data >&7
bytes=$(stat -c %s /results/data)
head -c "$bytes" <&7 >/tmp/got
python3 -c 'import sys; sys.exit(open("/results/data", "rb").read() != open("/tmp/got", "rb").read()[::-1])'

# One that comes and goes.
await port_of later
exec 8<>"$port"
read -r line <&8
[[ $line == "are you there" ]]
echo yes >&8
no_port() {
	! port_of "$1"
}
await no_port later
