#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Attach and detach many times: no memory, slab object or open file more than before.
# variants: qsd vloop-blk
# limit: 500
# limit-long: 2400
. "$SYSTEM/lib.sh"

round() {
	attach d blk
	dd if=/dev/zero of="$(dev d)" bs=64k count=4 oflag=direct 2>dd.log
	detach d
}

# Kernel objects, open files and memory, once nothing is on its way out any more. The back-end
# ends for it: what processes of others hoard is not ours, of our own it is looked at before.
measure() {
	local cache

	find "/proc/${SERVER[d]}/fd" -mindepth 1 | wc -l >"$1.fds"
	wc -l <"/proc/${SERVER[d]}/maps" >"$1.maps"
	stop_server d
	sync
	sleep 2
	echo 3 >/proc/sys/vm/drop_caches
	sleep 1
	# Empties what each CPU keeps for itself: only then are the numbers those of the objects.
	for cache in /sys/kernel/slab/*/shrink; do
		echo 1 >"$cache"
	done
	{
		awk 'NR > 2 { print "slab:" $1, $2 }' /proc/slabinfo
		awk '{ print "files", $1 }' /proc/sys/fs/file-nr
		awk '/^(MemAvailable|SUnreclaim|Percpu|VmallocUsed|KernelStack|Unevictable):/ { print "kB:" $1, $2 }' /proc/meminfo
		awk '{ print "tasks", $4 }' FS='[ /]' /proc/loadavg
	} | sort >"$1"
	start_disk d disk.img
}

# What grew from the first to the second by at least as many as there were rounds.
grown() {
	join -t '|' <(sed 's/ \([0-9]*\)$/|\1/' "$1") <(sed 's/ \([0-9]*\)$/|\1/' "$2") |
		awk -F '|' -v least="$3" '$1 !~ /^kB/ && $3 - $2 >= least { print $1 }'
}

make_disk disk.img 16M
start_disk d disk.img
half=$(pick 15 100)
for ((i = 0; i < 5; i++)); do round; done
measure 0.txt
for ((i = 0; i < half; i++)); do round; done
measure 1.txt
for ((i = 0; i < half; i++)); do round; done
measure 2.txt

# One object in each round, in both halves, is a leak; caches fill up once.
leaks=$(comm -12 <(grown 0.txt 1.txt $((half * 9 / 10)) | sort) \
	<(grown 1.txt 2.txt $((half * 9 / 10)) | sort))
join <(grep kB: 0.txt) <(grep kB: 2.txt) | sed "s/^/# $((2 * half)) rounds, before and after: /"
[[ ! $leaks ]] || fail "these grow with each attach: $leaks"
if [[ $BACKEND == vloop-blk ]]; then
	for what in fds maps; do
		(($(<2.txt.$what) < $(<1.txt.$what) + half * 9 / 10)) ||
			fail "$what of the back-end: $(<1.txt.$what), then $(<2.txt.$what)"
	done
fi
lost=$(($(awk '/MemAvailable/ { print $2 }' 1.txt) - $(awk '/MemAvailable/ { print $2 }' 2.txt)))
((lost < half * 100)) || fail "$lost kB of memory are gone after $half rounds"
