#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Read-only: an export that is, and --read-only on one that is not.
# variants: qsd vloop-blk
. "$SYSTEM/lib.sh"

check_read_only() {
	local disk

	disk=$(dev d)
	[[ $(blockdev --getro "$disk") == 1 ]] || fail "$disk is writable"
	cmp "$disk" disk.img
	expect 1 dd if=/dev/zero of="$disk" bs=4k count=1 oflag=direct 2>dd.log
	cmp disk.img before.img || fail "the image has changed"
	detach d
	stop_server d
}

head -c 4M /dev/urandom >disk.img
cp disk.img before.img
start_disk d disk.img 1 off
attach d blk
check_read_only
start_disk d disk.img
attach d blk --read-only
check_read_only
