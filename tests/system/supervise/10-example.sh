#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The example of the documentation, as it stands: devices come in its order and work, readiness is
# notified, a second run of the file is refused, and SIGTERM takes all down in reverse order.
. "$SYSTEM/supervise/run-lib.sh"

cat >notify.py <<'PYTHON'
import socket
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener, open("notified", "wb", 0) as out:
    listener.bind("notify.sock")
    while True:
        out.write(listener.recv(4096) + b"\n")
PYTHON

mkdir -p /var/lib/vloop
make_disk /var/lib/vloop/disk0.img 64M
cleanup_fn rm -r /var/lib/vloop
cp /src/doc/examples/knob /var/lib/vloop/
# Elsewhere udev loads it.
modprobe evdev
cp /src/doc/examples/devices.conf devices.conf
((SLOWER == 1)) || sed -i "/^type =/a device-timeout = $((10 * SLOWER))" devices.conf
python3 notify.py &
wait_until "$SLOW" test -S notify.sock
expect 0 vloop run --check devices.conf >/dev/null
[[ ! -e /run/vloop/devices ]] || fail "--check made a directory"

NOTIFY_SOCKET=$T/notify.sock vloop run --verbose devices.conf >devices.out 2>devices.err &
RUN=$!
await devices disk0 entropy knob terminal
[[ $(cut -d: -f1 devices.out) == $'disk0\nentropy\nknob\nterminal' ]] || fail "not in order: $(cat devices.out)"
[[ -b $(node devices disk0) && $(node devices entropy) == /dev/hwrng* &&
	-c $(node devices knob) && -c $(node devices terminal) ]] || fail "$(cat devices.out)"
wait_until "$SLOW" grep -q '^READY=1$' notified || fail "readiness was not notified"
[[ $(stat -c %U:%a /run/vloop/devices/entropy) == nobody:700 ]] || fail "the directory is not private"
[[ $(ps -o user= -p "$(backend_of vloop-rng)") == nobody ]] || fail "vloop-rng is not nobody's"

expect 7 vloop run devices.conf 2>second.err
grep -q "another 'vloop run' (process $RUN) uses /run/vloop/devices" second.err || fail "$(cat second.err)"

disk=$(node devices disk0)
mkfs.ext4 -q "$disk"
mkdir mnt
mount "$disk" mnt
head -c 8M /dev/urandom >mnt/data
cp mnt/data data
umount mnt
mount "$disk" mnt
cmp mnt/data data
umount mnt
timeout "$SLOW" head -c 32 /dev/hwrng >random
! cmp -s -n 32 random /dev/zero || fail "no random numbers"
timeout "$SLOW" python3 - "$(node devices knob)" <<-'PYTHON' || fail "the knob does not turn"
	import struct, sys
	with open(sys.argv[1], "rb", 0) as events:
	    _, _, *turn = struct.unpack("qqHHi", events.read(24))
	    _, _, *sync = struct.unpack("qqHHi", events.read(24))
	sys.exit(turn != [2, 7, 1] or sync != [0, 0, 0])
PYTHON
# The last close of a terminal resets it, so it is kept open.
exec 7<>"$(node devices terminal)" 8<>/run/vloop/devices/terminal/pty
stty raw -echo <&7
echo from without >&8
[[ $(timeout "$SLOW" head -c 13 <&7) == 'from without' ]] || fail "nothing comes in at the terminal"
echo from within >&7
[[ $(timeout "$SLOW" head -c 12 <&8) == 'from within' ]] || fail "nothing comes out of the terminal"
exec 7>&- 8>&-
check_counters disk0

stop_run 0
sed -n 's/.*vloop: \([a-z0-9]*: signal 15 to the .*\)/\1/p' devices.err >order
diff order - <<-'ORDER' || fail "not in reverse order"
	terminal: signal 15 to the adapter
	terminal: signal 15 to the back-end
	knob: signal 15 to the adapter
	knob: signal 15 to the back-end
	entropy: signal 15 to the adapter
	entropy: signal 15 to the back-end
	disk0: signal 15 to the adapter
	disk0: signal 15 to the back-end
ORDER
! said devices 'does not end' || fail "something had to be killed"
[[ ! -e /run/vloop/devices ]] || fail "/run/vloop/devices is left"
nothing_left devices disk0 entropy knob terminal
grep -q '^STOPPING=1$' notified || fail "stopping was not notified"
fsck.ext4 -fn /var/lib/vloop/disk0.img >fsck.log || fail "$(cat fsck.log)"
