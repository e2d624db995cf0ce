#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Discard frees space of the image, write-zeroes zeroes, and neither touches what is beside.
# variants: qsd vloop-blk
. "$SYSTEM/lib.sh"

blocks() {
	stat -c %b disk.img
}

head -c 16M /dev/urandom >disk.img
cp disk.img before.img
start_disk d disk.img
attach d blk
disk=$(dev d)

full=$(blocks)
blkdiscard -o 1M -l 8M "$disk"
(($(blocks) <= full - 8 * 2048)) || fail "discard frees nothing: $full blocks, then $(blocks)"
blkdiscard -z -o 10M -l 3M "$disk"
cmp -n 3M -i 10M:0 "$disk" /dev/zero || fail "not zero after write-zeroes"
cmp -n 3M -i 10M:0 disk.img /dev/zero || fail "not zero in the image"
for range in "1M 0" "1M 9M" "3M 13M"; do
	cmp -n "${range% *}" -i "${range#* }" "$disk" before.img || fail "changed beside: $range"
done
check_counters d
detach d
