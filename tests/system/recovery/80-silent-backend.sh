#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Back-ends that stop answering at each message in turn: attach ends or can be ended in time;
# and the adapter is killed while it waits for each of these answers.
# limit: 500
# limit-long: 1200
. "$SYSTEM/lib.sh"

# silent N: a back-end that ignores its Nth message and all that follow.
silent() {
	rm -f s.sock s.hung s.count
	python3 "$SYSTEM/silent_backend.py" "$T/s.sock" "$1" >>s.log 2>&1 &
	SERVER[s]=$!
	await_server s
}

has_hung() {
	[[ -e s.hung ]] || gone "${ADAPTER[s]}"
}

# start N [SECONDS]: with a bound for each answer that a slow machine may miss, unless given.
start() {
	silent "$1"
	: >s.out
	vloop attach blk s.sock --name s --timeout "${2:-1}" --device-timeout 1 >s.out 2>>s.err &
	ADAPTER[s]=$!
}

try() {
	start "$1"
	wait_until "$SLOW" has_hung || fail "message $1 never came"
}

# How many messages there are until the driver's first request.
start 1000 "$SLOW"
wait_until "$SLOW" state_is s running || fail "no session: $(cat s.err)"
messages=$(wc -l <s.count)
note "$messages messages until the session runs: $(tr '\n' ' ' <s.count)"
((messages > 10)) || fail "the back-end was not asked much"
kill -9 "${ADAPTER[s]}"
wait "${ADAPTER[s]}" || true
wait_no_device s
kill_server s

for ((n = 1; n <= messages; n += $(pick 3 1))); do
	try "$n"
	status=0
	timeout "$SLOW" vloop detach --timeout 60 s 2>>detach.err || status=$?
	# 11: it had given up already.
	((status == 0 || status == 11)) || fail "message $n: detach ended with $status"
	status=0
	ends "${ADAPTER[s]}" "adapter, message $n" || status=$?
	((status == 0 || status == 3 || status == 4 || status == 12)) ||
		fail "message $n: the adapter ended with $status"
	wait_no_device s
	kill_server s
done

# It answers until it is told to stop its ring.
start $((messages + 1)) 20
wait_until "$SLOW" state_is s running || fail "no session: $(cat s.err)"
timeout "$SLOW" vloop detach --timeout 60 s || fail "detach: $?"
wait_no_device s
ends "${ADAPTER[s]}" adapter || true
kill_server s

for ((n = 2; n <= messages; n += $(pick 3 1))); do
	try "$n"
	kill -9 "${ADAPTER[s]}"
	wait "${ADAPTER[s]}" || true
	wait_no_device s
	kill_server s
done
