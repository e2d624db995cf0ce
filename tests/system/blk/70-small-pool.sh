#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The smallest pool that works, under full load: requests wait for room, none fails.
# variants: qsd vloop-blk
# quick: vloop-blk
# limit: 300
. "$SYSTEM/lib.sh"

make_disk disk.img 128M
for queues in 1 2; do
	start_disk d disk.img "$queues"
	status=0
	timeout "$SLOW" vloop attach blk d.sock --name d --queues "$queues" --pool 4096 \
		>small.out 2>small.err || status=$?
	((status == 8)) || fail "a pool that is too small: exit $status, $(cat small.err)"
	smallest=$(sed -n 's/.*give --pool \([0-9]*\).*/\1/p' small.err)
	[[ $smallest ]] || fail "it does not say what is enough: $(cat small.err)"
	note "smallest pool of $queues queues: $smallest bytes"
	stop_server d

	start_disk d disk.img "$queues"
	attach d blk --queues "$queues" --pool "$smallest"
	for sizes in 512-4k 512-1m; do
		verify "$(dev d)" --size="$(pick 3m 24m)" --bsrange="$sizes" --iodepth=32 \
			--numjobs="$queues" --offset_increment=30m
	done
	(($(counter d stalls) > 0)) || fail "this was no load: nothing had to wait"
	check_counters d
	detach d
	stop_server d
done
