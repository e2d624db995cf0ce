#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Detach under load: refused while mounted, fails the requests with --force, never hangs.
# variants: qsd vloop-blk
# quick: vloop-blk
. "$SYSTEM/lib.sh"

make_disk disk.img 64M
start_disk d disk.img
attach d blk
# The load goes behind the file system.
mkfs.ext4 -q "$(dev d)" 30M
mkdir mnt
mount "$(dev d)" mnt
expect 9 vloop detach d 2>detach.log
grep -q 'mounted' detach.log || fail "it says: $(cat detach.log)"
echo kept >mnt/file
umount mnt
detach d
stop_server d

for ((i = 0; i < $(pick 4 40); i++)); do
	start_disk d disk.img
	attach d blk --timeout 5
	load_start "$(dev d)" --size=8m --offset=32m >load.log 2>&1
	wait_busy d
	if ((i % 2)); then
		timeout -k 5 "$SLOW" vloop detach --force d || fail "detach --force: $?"
	else
		timeout -k 5 "$SLOW" vloop detach d || fail "detach: $?"
	fi
	wait_no_device d
	! ends "$LOAD" load || fail "the load did not notice"
	ends "${ADAPTER[d]}" adapter || true
	stop_server d
done
start_disk d disk.img
attach d blk
mount "$(dev d)" mnt
[[ $(<mnt/file) == kept ]] || fail "the file is lost"
expect 0 umount mnt
detach d
