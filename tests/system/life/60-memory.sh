#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What a device costs: the adapter at most 4 MiB resident, the kernel 1 MiB beside the pool.
. "$SYSTEM/lib.sh"

# Kernel memory in kB: what is allocated for good, not caches.
kernel_memory() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	sleep 2
	awk '/^(SUnreclaim|KernelStack|PageTables|Percpu|VmallocUsed):/ { sum += $2 } END { print sum }' /proc/meminfo
}

# The back-ends' memory for the same number of connections is not ours, so they are rng devices,
# which have a cheap driver; virtio_blk's own request tables are measured apart.
count=16
for ((i = 0; i < count; i++)); do
	start_rng "r$i"
done
start_rng warm
attach warm rng
before=$(kernel_memory)
free_before=$(awk '/^MemFree/ { print $2 }' /proc/meminfo)
for ((i = 0; i < count; i++)); do
	attach "r$i" rng
done
after=$(kernel_memory)
free_after=$(awk '/^MemFree/ { print $2 }' /proc/meminfo)
pool=$(($(<"$CLASS/r0/pool_size") / 1024))
each=$(((after - before) / count))
note "kernel memory of an rng device: $each kB, pool: $pool kB, all that went: $(((free_before - free_after) / count)) kB"
# What processes and pools need goes as page tables and kernel stacks too: 64 kB of grace.
((each <= 1024 + 64)) || fail "$each kB of kernel memory for each device"

make_disk disk.img 64M
start_qsd d disk.img 4
attach d blk --queues 4
verify "$(dev d)" --size=8m --numjobs=4 --offset_increment=10m
for name in d r0; do
	rss=$(awk '/^VmRSS/ { print $2 }' "/proc/${ADAPTER[$name]}/status")
	note "adapter of $name: $rss kB resident"
	((rss > 0 && rss <= 4096)) || fail "adapter of $name: $rss kB resident"
done
detach d
for ((i = 0; i < count; i++)); do
	detach "r$i"
done
detach warm
