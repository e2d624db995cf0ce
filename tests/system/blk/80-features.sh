#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Back-ends without some ring features, eventfds for calls and kicks, other ring sizes, huge pages.
# variants: qsd vloop-blk
# quick: vloop-blk
# limit: 400
# limit-long: 1200
. "$SYSTEM/lib.sh"

make_disk disk.img 64M
pages=/proc/sys/vm/nr_hugepages
if [[ -e $pages ]]; then
	echo 40 >$pages
	cleanup_fn sh -c "echo 0 >$pages"
fi
while read -r options; do
	note "attach blk $options"
	if [[ $options == *--hugepages* && ! -e $pages ]]; then
		note "this kernel has no huge pages"
		continue
	fi
	start_disk d disk.img 2
	read -ra words <<<"$options"
	attach d blk --queues 2 "${words[@]}"
	verify "$(dev d)" --size="$(pick 3m 24m)" --iodepth=32 --numjobs=2 --offset_increment=30m
	check_counters d
	detach d
	stop_server d
done <<-'END'
	--no-indirect
	--no-event-idx
	--no-indirect --no-event-idx
	--call eventfd
	--kick eventfd
	--kick eventfd --call eventfd --no-event-idx
	--queue-size 16 --no-indirect
	--queue-size 1024 --pool 32M
	--hugepages --pool 32M
END
