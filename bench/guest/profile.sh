# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Guest side of bench/profile: marks a window in the middle of a run of fio, for
# the plugin that counts instructions, and keeps what gives names to addresses.

readonly WINDOW_SECONDS=0.25

# profile CASE PEER FIO-OPTION...
profile() {
	local case=$1 peer=$2 fio pid

	shift 2
	[[ ${device_of[$peer]-} ]] || return
	run_fio 9999 --name="$case" --filename="${device_of[$peer]}" \
		--ramp_time="${BENCH_RAMP_MS}ms" --runtime="${BENCH_RUN_MS}ms" \
		--output-format=json --output="$BENCH_DIR/profile.json" "$@" >/dev/null 2>&1 &
	fio=$!
	wait_for_requests "${device_of[$peer]#/dev/}"
	for pid in $(pgrep -x 'fio|vloop|vloop-blk|nbdkit|qemu-storage-.*'); do
		cp "/proc/$pid/maps" "$BENCH_DIR/maps.$pid.$(<"/proc/$pid/comm")"
	done
	# The call that the plugin waits for, twice.
	: "$(</proc/loadavg)"
	sleep "$WINDOW_SECONDS"
	: "$(</proc/loadavg)"
	wait "$fio"
	cp "$BENCH_DIR"/maps.* "$BENCH_DIR/profile.json" "$RESULTS"
	cp /proc/kallsyms "$RESULTS/kallsyms"
}

# Until the disk has seen more than what a program that looks at it would read.
wait_for_requests() {
	local -a stat

	until read -ra stat <"/sys/block/$1/stat" && ((stat[0] + stat[4] > 500)); do
		sleep 0.01
	done
}
