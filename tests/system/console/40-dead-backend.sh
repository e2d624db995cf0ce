#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The driver of a console spins with interrupts off until its output is taken. While output is written in
# a tight loop the back-end is stopped, killed and started again, and the adapter is killed; on two
# processors, with the device's process on the writer's, and on one. The machine goes on; what was lost
# is counted; later output arrives.
# limit: 600
. "$SYSTEM/lib.sh"
. "$SYSTEM/console/common.sh"
requires socat stty taskset

rounds=$(pick 2 10)
time_out=3

# Lines with a number, as fast as they go.
write_lines() {
	local i

	for ((i = 0; ; i++)); do
		printf 'line %d 0123456789012345678901234567890123456789012345678901234567890123\n' "$i"
	done
}

# start_writer CPU: its process is $WRITER.
start_writer() {
	(
		trap - EXIT
		taskset -cp "$1" $BASHPID >/dev/null
		write_lines >"$tty"
	) &
	WRITER=$!
}

# The size of what has arrived.
arrived() {
	stat -c %s "$T/got"
}

grows() {
	(($(arrived) > $1 + 100000))
}

output_continues() {
	wait_until "$SLOW" grows "$(arrived)" || fail "no more output arrives $1"
}

start_client() {
	receive_from c "$T/got"
	wait_until "$SLOW" connected c || fail "nobody takes the client"
}

drops() {
	(($(queue_counter c 1 dropped_bytes) > $1))
}

expect_drops() {
	wait_until "$SLOW" drops "$1" || fail "nothing is dropped, or it is not counted, $2"
}

start_pinned() {
	start_console c --unix="$T/c.tty"
	taskset -acp "$1" "${SERVER[c]}" >/dev/null
}

# one_round CPU-OF-WRITER CPU-OF-BACK-END
one_round() {
	local before

	start_client
	start_writer "$1"
	output_continues "at first"

	kill -STOP "${SERVER[c]}"
	before=$(queue_counter c 1 dropped_bytes)
	expect_drops "$before" "while the back-end is stopped"
	kill -CONT "${SERVER[c]}"
	output_continues "after the stop"

	before=$(queue_counter c 1 dropped_bytes)
	kill_server c
	wait "$CLIENT" || true
	expect_drops "$before" "while there is no back-end"
	start_pinned "$2"
	start_client
	wait_state c running
	output_continues "after the kill"

	# Killed while it is stopped, too.
	kill -STOP "${SERVER[c]}"
	kill_server c
	wait "$CLIENT" || true
	start_pinned "$2"
	start_client
	wait_state c running
	output_continues "after the second kill"
	kill "$WRITER" "$CLIENT"
	wait "$WRITER" "$CLIENT" || true
}

make_console() {
	start_pinned "$1"
	attach c console --timeout "$time_out"
	tty=$(dev c)
	open_raw "$tty"
}

make_console 0
for ((n = 0; n < rounds; n++)); do
	(($(nproc) == 1)) || one_round 0 1
	one_round 0 0
done
# others_online 0|1: the processors but the first.
others_online() {
	local file

	for file in /sys/devices/system/cpu/cpu[1-9]*/online; do
		echo "$1" >"$file"
	done
}

# With one that is what happened above.
if (($(nproc) > 1)); then
	cleanup_fn others_online 1
	others_online 0
	[[ $(nproc) == 1 ]] || fail "there are $(nproc) processors"
	for ((n = 0; n < rounds; n++)); do
		one_round 0 0
	done
fi
note "dropped $(queue_counter c 1 dropped_bytes) bytes, stalls=$(queue_counter c 1 stalls)"

# The adapter dies under output: the device goes, and the writer sees its end.
start_client
start_writer 0
output_continues "before the adapter dies"
kill -9 "${ADAPTER[c]}"
wait "${ADAPTER[c]}" || true
exec 7>&-
wait_no_device c
wait_until "$SLOW" gone "$WRITER" || fail "the writer does not end"
stop_server c
