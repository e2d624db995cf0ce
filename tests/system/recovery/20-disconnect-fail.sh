#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# --on-disconnect fail: applications get an error as soon as the back-end is gone, nothing
# hangs; a new back-end makes the disk work again; the device goes without one.
# variants: qsd vloop-blk
. "$SYSTEM/lib.sh"

in_flight() {
	(($(<"$CLASS/d/in_flight") > 0))
}

make_disk disk.img 32M
start_disk d disk.img
attach d blk --on-disconnect fail
disk=$(dev d)

kill -STOP "${SERVER[d]}"
dd if="$disk" of=/dev/null bs=4k count=1 iflag=direct 2>dd.log &
reader=$!
wait_until "$SLOW" in_flight || fail "no request in flight"
alive "$reader" || fail "the reader did not wait"
kill_server d
status=0
ends $reader "reader" || status=$?
[[ $status == 1 && $(cat dd.log) == *'Input/output error'* ]] || fail "reader: $status, $(cat dd.log)"

wait_state d failing
expect 1 dd if="$disk" of=/dev/null bs=4k count=1 iflag=direct 2>dd.log
expect 1 dd if=/dev/zero of="$disk" bs=4k count=1 oflag=direct 2>dd.log
(($(counter d failed) >= 3)) || fail "only $(counter d failed) requests failed"

start_disk d disk.img
wait_state d running
verify "$disk" --size=8m
kill_server d
wait_state d failing
detach d
