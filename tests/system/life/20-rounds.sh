#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Attach and detach many times: no memory, slab object or open file more than before.
# variants: qsd vloop-blk
# quick: vloop-blk
# limit: 500
# limit-long: 2400
. "$SYSTEM/lib.sh"

# rounds N FILE: so many, then a measurement.
rounds() {
	local i

	for ((i = 0; i < $1; i++)); do
		attach d blk
		dd if=/dev/zero of="$(dev d)" bs=64k count=4 oflag=direct 2>dd.log
		detach d
	done
	measure "$2"
}

# Kernel objects (open files are some of them) and memory, once nothing is on its way out any more. The back-end
# ends for it: what processes of others hoard is not ours, of our own it is looked at before.
measure() {
	local cache

	find "/proc/${SERVER[d]}/fd" -mindepth 1 | wc -l >"$1.fds"
	wc -l <"/proc/${SERVER[d]}/maps" >"$1.maps"
	stop_server d
	sync
	# Inodes and what belongs to them go step by step.
	for _ in 1 2 3; do
		sleep 1
		echo 3 >/proc/sys/vm/drop_caches
	done
	sleep 1
	# Empties what each CPU keeps for itself: only then are the numbers those of the objects.
	for cache in /sys/kernel/slab/*/shrink; do
		echo 1 >"$cache"
	done
	{
		awk 'NR > 2 { print "slab:" $1 "/" $5, $2 }' /proc/slabinfo
		awk '/^(MemAvailable|SUnreclaim|Percpu|VmallocUsed|KernelStack|Unevictable):/ { print "kB:" $1, $2 }' /proc/meminfo
		# Pages of pools that nobody lets go.
		awk '/^nr_foll_pin_acquired/ { n += $2 } /^nr_foll_pin_released/ { n -= $2 }
			END { print "pinned pages", n }' /proc/vmstat
		awk '{ print "tasks", $4 }' FS='[ /]' /proc/loadavg
	} | sort >"$1"
	start_disk d disk.img
}

# grown FILE FILE: what grew by about one in each round. What each CPU keeps for itself counts as
# used, so that a cache may seem to grow by some slabs; caches of small objects are seen through
# that by the long run alone.
grown() {
	join -t '|' <(sed 's/ \([0-9]*\)$/|\1/' "$1") <(sed 's/ \([0-9]*\)$/|\1/' "$2") |
		awk -F '|' -v least=$((count * 9 / 10)) '
			/^kB/ { next }
			{ slab = $1 ~ /^slab/ ? $1 : "/0"; sub(".*/", "", slab) }
			$3 - $2 >= least && $3 - $2 > 2 * slab { print $1 }' | sort
}

make_disk disk.img 16M
start_disk d disk.img
count=$(pick 20 200)
rounds 5 0.txt
rounds "$count" 1.txt
rounds "$count" 2.txt
leaks=$(comm -12 <(grown 0.txt 1.txt) <(grown 1.txt 2.txt))
join <(grep kB: 0.txt) <(grep kB: 2.txt) | sed "s/^/# $((2 * count)) rounds, before and after: /"
# What leaks goes on growing; what others do meanwhile does not, each time.
for i in 3 4; do
	[[ $leaks ]] || break
	rounds "$count" $i.txt
	leaks=$(comm -12 <(echo "$leaks") <(grown $((i - 1)).txt $i.txt))
done
for what in $leaks; do
	grep -H "^$what " [0-9].txt
done
[[ ! $leaks ]] || fail "these grow with each attach: $leaks"

if [[ $BACKEND == vloop-blk ]]; then
	for what in fds maps; do
		(($(<2.txt.$what) < $(<1.txt.$what) + count * 9 / 10)) ||
			fail "$what of the back-end: $(<1.txt.$what), then $(<2.txt.$what)"
	done
fi
# Pages go and come by the megabyte for other reasons; pools have 16 MiB each.
lost=$(($(awk '/MemAvailable/ { print $2 }' 1.txt) - $(awk '/MemAvailable/ { print $2 }' 2.txt)))
((lost < 40960 + count * 1024)) || fail "$lost kB of memory are gone after $count rounds"
