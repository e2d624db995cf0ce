#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The driver is unbound and bound again under load; the disk comes back as it was.
# variants: qsd vloop-blk
# quick: vloop-blk
. "$SYSTEM/lib.sh"

virtio() {
	basename "$(readlink -f "$CLASS/d"/virtio*)"
}

bound() {
	[[ -e /sys/bus/virtio/devices/$(virtio)/block ]]
}

drivers=/sys/bus/virtio/drivers/virtio_blk
make_disk disk.img 64M
start_disk d disk.img 2
attach d blk --queues 2
head -c 1M /dev/urandom >marker
dd if=marker of="$(dev d)" bs=64k seek=32M oflag=direct,seek_bytes 2>dd.log
for ((i = 0; i < $(pick 5 25); i++)); do
	wait_state d running
	load_start "$(dev d)" --size=8m --numjobs=2 --offset_increment=10m >load.log 2>&1
	wait_busy d
	timeout "$SLOW" tee $drivers/unbind <<<"$(virtio)" >unbound || fail "unbind: $?"
	! ends "$LOAD" load || fail "the load did not notice"
	timeout "$SLOW" tee $drivers/bind <<<"$(virtio)" >bound || fail "bind: $?"
	wait_until "$SLOW" bound || fail "no disk after binding"
	[[ -b $(dev d) ]] || fail "$(dev d) did not come back"
done
wait_state d running
verify "$(dev d)" --size=8m
cmp -n 1M -i 32M:0 "$(dev d)" marker || fail "the data has changed"
note "resets: $(<"$CLASS/d/epoch")"
detach d
