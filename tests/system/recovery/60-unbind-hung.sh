#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Unbinding the driver of a hung back-end waits, as for any disk, until the device is detached.
# variants: qsd vloop-blk
. "$SYSTEM/lib.sh"

make_disk disk.img 32M
start_disk d disk.img
attach d blk --timeout 2
virtio=$(basename "$(readlink -f "$CLASS/d"/virtio*)")
load_start "$(dev d)" --size=8m >load.log 2>&1
wait_busy d
kill -STOP "${SERVER[d]}"
sleep 0.5
tee /sys/bus/virtio/drivers/virtio_blk/unbind <<<"$virtio" >unbound 2>&1 &
unbind=$!
sleep 1
timeout -k 5 "$SLOW" vloop detach --force d || fail "detach: $?"
ends $unbind unbind || true
! ends "$LOAD" load || fail "the load did not notice"
wait_no_device d
ends "${ADAPTER[d]}" adapter || true
kill -9 "${SERVER[d]}"
