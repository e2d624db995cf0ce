#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The module stays while it is used, and goes and comes back afterwards.
. "$SYSTEM/lib.sh"

make_disk disk.img 16M
for ((i = 0; i < 3; i++)); do
	start_qsd d disk.img
	attach d blk
	expect 1 rmmod virtio_loopback 2>rmmod.log
	grep -q 'in use' rmmod.log || fail "$(cat rmmod.log)"
	detach d
	# Nobody holds it any more when the device is said to be gone.
	expect 0 rmmod virtio_loopback
	[[ ! -e /dev/virtio-loopback && ! -e $CLASS ]] || fail "rmmod leaves things behind"
	expect 5 vloop attach blk d.sock 2>>d.err
	modprobe virtio_loopback
	stop_server d
done

# With the adapter killed, the module waits for its device and no longer.
start_qsd d disk.img
attach d blk
load_start "$(dev d)" --size=4m >load.log 2>&1
wait_busy d
kill -9 "${ADAPTER[d]}"
wait_until "$SLOW" rmmod virtio_loopback 2>>rmmod.log || fail "rmmod: $(tail -n 1 rmmod.log)"
! ends "$LOAD" load || fail "the load did not notice"
modprobe virtio_loopback
