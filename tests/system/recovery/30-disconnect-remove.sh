#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# --on-disconnect remove: the device goes with its back-end, under load too.
# variants: qsd vloop-blk
. "$SYSTEM/lib.sh"

make_disk disk.img 32M
for idle in yes no; do
	start_disk d disk.img
	attach d blk --on-disconnect remove
	disk=$(dev d)
	if [[ $idle == no ]]; then
		load_start "$disk" --size=8m >load.log 2>&1
		wait_busy d
	fi
	kill_server d
	wait_no_device d
	status=0
	ends "${ADAPTER[d]}" adapter || status=$?
	((status == 3)) || fail "the adapter ended with $status"
	[[ ! -e $disk ]] || fail "$disk is still there"
	if [[ $idle == no ]]; then
		! ends "$LOAD" load || fail "the load did not notice"
	fi
done
