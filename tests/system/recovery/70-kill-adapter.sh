#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The adapter is killed after each delay, in the middle of attaching and under load:
# the device goes, its users get errors, and the next attach works.
# variants: qsd vloop-blk
# quick: vloop-blk
# limit: 300
# limit-long: 900
. "$SYSTEM/lib.sh"

make_disk disk.img 32M
for ((ms = 0; ms < 500; ms += $(pick 45 5))); do
	start_disk d disk.img
	vloop attach blk d.sock --name d >/dev/null 2>>d.err &
	adapter=$!
	sleep "0.$(printf %03d "$ms")"
	kill -9 $adapter
	wait $adapter || true
	wait_no_device d
	kill_server d
done

for ((i = 0; i < $(pick 3 20); i++)); do
	start_disk d disk.img
	attach d blk
	load_start "$(dev d)" --size=8m >load.log 2>&1
	wait_busy d
	kill -9 "${ADAPTER[d]}"
	wait "${ADAPTER[d]}" || true
	wait_no_device d
	! ends "$LOAD" load || fail "the load did not notice"
	kill_server d
done
start_disk d disk.img
attach d blk
verify "$(dev d)" --size=8m
check_counters d
detach d
