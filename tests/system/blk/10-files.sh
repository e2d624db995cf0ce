#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A tree of files on ext4 survives a re-attach, with each number of queues.
# variants: qsd vloop-blk
# limit: 300
. "$SYSTEM/lib.sh"

tree=/usr/$(pick share/bash-completion lib/python3)
mkdir mnt
for queues in $(pick 2 "1 2 4"); do
	rm -f disk.img
	make_disk disk.img 256M
	start_disk d disk.img "$queues"
	attach d blk --queues "$queues"
	[[ $(find "$CLASS/d/queues/" -mindepth 1 -maxdepth 1 | wc -l) == "$queues" ]] ||
		fail "not $queues queues"
	mkfs.ext4 -q "$(dev d)"
	mount "$(dev d)" mnt
	cp -a "$tree" mnt/tree
	sync -f mnt
	diff -r "$tree" mnt/tree
	umount mnt
	detach d
	stop_server d

	start_disk d disk.img "$queues"
	attach d blk --queues "$queues"
	e2fsck -fn "$(dev d)" >e2fsck.log
	mount "$(dev d)" mnt
	diff -r "$tree" mnt/tree
	umount mnt
	check_counters d
	detach d
	stop_server d
done
