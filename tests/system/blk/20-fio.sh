#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Block sizes of 512 bytes to 1 MiB, depths of 1 to 64, on 1, 2 and 4 queues.
# variants: qsd vloop-blk
# limit: 300
# limit-long: 1800
. "$SYSTEM/lib.sh"

size=$(pick 4m 32m)
# The driver takes no more queues than there are.
cpus=$(nproc)
make_disk disk.img 160M
for queues in 1 2 4; do
	start_disk d disk.img "$queues"
	attach d blk --queues "$queues"
	used=$(find "/sys/block/$(basename "$(dev d)")/mq" -mindepth 1 -maxdepth 1 -type d | wc -l)
	((used == (queues < cpus ? queues : cpus))) || fail "the driver uses $used queues of $queues"
	for depth in 1 8 64; do
		verify "$(dev d)" --size="$size" --iodepth="$depth" --numjobs="$queues" \
			--offset_increment=40m
	done
	for ((i = 0; i < queues; i++)); do
		note "queue $i of $queues: $(<"$CLASS/d/queues/$i/requests") requests"
	done
	check_counters d
	detach d
	stop_server d
done
