#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A back-end that hangs: detach is bounded, and --force does not wait for it.
# variants: qsd vloop-blk
# quick: vloop-blk
. "$SYSTEM/lib.sh"

in_flight() {
	(($(<"$CLASS/d/in_flight") > 0))
}

make_disk disk.img 32M
for force in "" --force; do
	start_disk d disk.img
	attach d blk --timeout 2
	load_start "$(dev d)" --size=8m >load.log 2>&1
	wait_busy d
	kill -STOP "${SERVER[d]}"
	wait_until "$SLOW" in_flight || fail "no request in flight"
	sleep 0.5
	timeout -k 5 "$SLOW" vloop detach ${force:+"$force"} d || fail "detach $force: $?"
	wait_no_device d
	# 12: it was broken on the way.
	status=0
	ends "${ADAPTER[d]}" adapter || status=$?
	((status == 0 || status == 12)) || fail "the adapter ended with $status"
	! ends "$LOAD" load || fail "the load did not notice"
	kill -CONT "${SERVER[d]}"
	stop_server d
done

# An idle one.
start_disk d disk.img
attach d blk --timeout 2
kill -STOP "${SERVER[d]}"
timeout -k 5 "$SLOW" vloop detach d || fail "detach: $?"
wait_no_device d
ends "${ADAPTER[d]}" adapter || true
kill -9 "${SERVER[d]}"
