#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Each allocation of the attach path fails once (tests/debug/attach-faults.c); then a disk is
# attached as if nothing had been. What is lost, the end of the run tells.
# limit: 1800
. "$SYSTEM/lib.sh"

debugfs=/sys/kernel/debug
[[ -e /proc/self/fail-nth ]] || fail "this kernel has no fault injection"
# Faults that are asked for are not worth a trace; those of callers that may sleep count too.
for kind in failslab fail_page_alloc; do
	echo 0 >$debugfs/$kind/verbose
	echo N >$debugfs/$kind/ignore-gfp-wait
	cleanup_fn sh -c "echo Y >$debugfs/$kind/ignore-gfp-wait"
done
echo 0 >$debugfs/fail_page_alloc/min-order

modprobe virtio-rng
timeout $((SLOW * 8)) /src/build/tests/debug/attach-faults
make_disk disk.img 16M
start_vloop_blk d disk.img
attach d blk
verify "$(dev d)" --size=8m
check_counters d
detach d
wait_until "$SLOW" rmmod virtio_loopback 2>rmmod.log || fail "rmmod: $(tail -n 1 rmmod.log)"
