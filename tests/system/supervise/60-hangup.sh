#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The terminal goes: vloop attach and vloop run take their devices down, but under nohup(1) they
# go on.
. "$SYSTEM/supervise/run-lib.sh"

start_rng r
attach r rng
kill -HUP "${ADAPTER[r]}"
ends "${ADAPTER[r]}" "vloop attach" || fail "vloop attach ended with $?"
wait_no_device r

trap '' HUP
attach r rng
trap - HUP
kill -HUP "${ADAPTER[r]}"
kill_server r
wait_state r waiting
start_rng r
wait_state r running
detach r
stop_server r

cat >all.conf <<-'EOT'
	[device r]
	type = rng
	command = vloop-rng --socket-path=${socket}
	restart-delay = 50ms
EOT
start_run all
await all r
kill -HUP "$RUN"
ends "$RUN" "vloop run" || fail "vloop run ended with $?"
said all 'taking the devices down' || fail "it ended in some other way: $(cat all.err)"
nothing_left all r

sessions_above() {
	(($(<"$CLASS/r/sessions") > $1))
}
trap '' HUP
start_run all
trap - HUP
await all r
sessions=$(<"$CLASS/r/sessions")
kill -HUP "$RUN"
kill -9 "$(backend_of vloop-rng)"
wait_until "$SLOW" sessions_above "$sessions" || fail "it did not go on"
stop_run 0
nothing_left all r
