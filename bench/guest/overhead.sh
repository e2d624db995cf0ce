# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What a device costs apart from its requests: the time to attach it, and memory.

readonly TRACE=/sys/kernel/tracing

# Both ends of the driver's probe, from a probe on the driver's own function.
trace_driver_probe() {
	modprobe virtio_blk
	{
		echo 'p:bench/enter virtio_blk:virtblk_probe'
		echo 'r:bench/leave virtio_blk:virtblk_probe'
	} >>"$TRACE/kprobe_events" && echo 1 >"$TRACE/events/bench/enable"
}

forget_driver_probe() {
	echo 0 >"$TRACE/events/bench/enable"
	echo '-:bench/enter' >>"$TRACE/kprobe_events"
	echo '-:bench/leave' >>"$TRACE/kprobe_events"
}

# Microseconds that the last probe took.
last_probe_us() {
	awk '{ for (i = 1; i < NF; i++) if ($i ~ /^[0-9]+[.][0-9]+:$/) at[$(i + 1)] = $i + 0 }
		END { printf "%d", (at["leave:"] - at["enter:"]) * 1e6 }' "$TRACE/trace"
}

# measure_attach REPETITIONS: microseconds from the start of the command to its
# return, when the block device can be opened, and of that the driver's probe.
# The first round, in which programs and modules are read for the first time, is
# not written down.
measure_attach() {
	local repetitions=$1 i from attached

	start_attach_servers || return
	trace_driver_probe || {
		complain attach "the driver's probe cannot be traced"
		return
	}
	for ((i = 0; i <= repetitions; i++)); do
		echo >"$TRACE/trace"
		from=${EPOCHREALTIME/./}
		# shellcheck disable=SC2154 # peers.sh has it
		attach_ours attach "$BENCH_DIR/attach.sock" && : <"${device_of[attach]}"
		attached=$((${EPOCHREALTIME/./} - from))
		((i == 0)) || printf 'ours\t%d\t%d\n' "$attached" "$(last_probe_us)" \
			>>"$RESULTS/attach.tsv"
		vloop detach attach

		echo >"$TRACE/trace"
		from=${EPOCHREALTIME/./}
		vdpa dev add name attach mgmtdev vduse &&
			wait_until 10 vduse_block_device attach >/dev/null &&
			: <"$(vduse_block_device attach)"
		attached=$((${EPOCHREALTIME/./} - from))
		((i == 0)) || printf 'vduse\t%d\t%d\n' "$attached" "$(last_probe_us)" \
			>>"$RESULTS/attach.tsv"
		vdpa dev del attach
	done
	forget_driver_probe
	unset 'device_of[attach]'
}

start_attach_servers() {
	make_backing
	modprobe -a vduse virtio_vdpa virtio_loopback
	serve attach qemu-storage-daemon --blockdev "$(qsd_backing zero)" \
		--export "type=vhost-user-blk,id=e0,node-name=n0,addr.type=unix,addr.path=$BENCH_DIR/attach.sock,num-queues=1,writable=on"
	serve attach-vduse qemu-storage-daemon --blockdev "$(qsd_backing zero)" \
		--export "type=vduse-blk,id=e0,node-name=n0,name=attach,num-queues=1,queue-size=256,writable=on"
	wait_until 20 test -S "$BENCH_DIR/attach.sock" &&
		wait_until 20 test -e /sys/class/vduse/attach
}

# KiB that the kernel keeps for itself: neither free, nor pages of processes and
# files, nor what the kernel holds for each process. Pools are pages of files.
# Free pages that a CPU keeps at hand, megabytes of them, are not in MemFree; objects
# that it keeps at hand count as used until the caches shrink.
kernel_kb() {
	local cache

	sync
	for _ in 1 2; do
		echo 3 >/proc/sys/vm/drop_caches
		sleep 1
	done
	for cache in /sys/kernel/slab/*/shrink; do
		echo 1 >"$cache"
	done
	awk '$1 == "MemTotal:" { kernel += $2 }
		$1 ~ /^(MemFree|AnonPages|Cached|Buffers|PageTables|SecPageTables|KernelStack):$/ {
			kernel -= $2 }
		$1 == "pagesets" { pagesets = 1 }
		$1 ~ /^Node/ { pagesets = 0 }
		pagesets && $1 == "count:" { kernel -= $2 * 4 }
		END { print kernel }' /proc/meminfo /proc/zoneinfo
}

# measure_memory DEVICES: attaches that many disks, each with a server of its own.
# The servers start before the first reading.
measure_memory() {
	local devices=$1 i before after pid

	modprobe -a virtio_loopback virtio_blk
	for ((i = 0; i < devices; i++)); do
		serve "memory$i" qemu-storage-daemon --blockdev "$(qsd_backing zero)" \
			--export "type=vhost-user-blk,id=e0,node-name=n0,addr.type=unix,addr.path=$BENCH_DIR/memory$i.sock,num-queues=1,writable=on"
	done
	wait_until 20 test -S "$BENCH_DIR/memory$((devices - 1)).sock"
	# Once, so that what comes with the first device of a kind is there already.
	attach_ours memory0 "$BENCH_DIR/memory0.sock" && vloop detach memory0

	before=$(kernel_kb)
	for ((i = 0; i < devices; i++)); do
		attach_ours "memory$i" "$BENCH_DIR/memory$i.sock" || {
			complain memory "device $i was not attached"
			return
		}
	done
	after=$(kernel_kb)
	printf 'pool\t1\t%d\n' $(($(</sys/class/virtio-loopback/memory0/pool_size) >> 10)) \
		>>"$RESULTS/memory.tsv"
	printf 'kernel\t%d\t%d\n' "$devices" $(((after - before) / devices)) >>"$RESULTS/memory.tsv"
	for ((i = 0; i < devices; i++)); do
		pid=$(</sys/class/virtio-loopback/memory$i/owner_pid)
		printf 'adapter\t1\t%d\n' "$(awk '/^VmRSS:/ { print $2 }' "/proc/$pid/status")" \
			>>"$RESULTS/memory.tsv"
		vloop detach "memory$i"
		unset "device_of[memory$i]"
	done
}
