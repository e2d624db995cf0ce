#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Back-ends are killed under load, and started again: no I/O error, right data, and the same
# device. An existing socket, of a back-end that somebody else runs, works beside them.
# limit: 300
. "$SYSTEM/supervise/run-lib.sh"

other_pid() {
	[[ $(backend_of vloop-blk) && $(backend_of vloop-blk) != "$1" ]]
}

sessions_above() {
	(($(<"$CLASS/disk/sessions") > $1))
}

make_disk disk.img 64M
start_rng r
cat >all.conf <<-EOT
	[device entropy]
	type = rng
	socket = $T/r.sock
	[device disk]
	type = blk
	command = vloop-blk --socket-path=\${socket} --file=$T/disk.img
	restart-delay = 50ms
	restart-delay-max = 1s
	restart-limit = none
EOT
start_run all
await all entropy disk
disk=$(node all disk)
load_start "$disk" --size=8m >load.log 2>&1
for ((i = 0; i < $(pick 6 30); i++)); do
	wait_busy disk
	old=$(backend_of vloop-blk) sessions=$(<"$CLASS/disk/sessions")
	kill -9 "$old"
	wait_until "$SLOW" other_pid "$old" || fail "the back-end was not started again"
	wait_until "$SLOW" sessions_above "$sessions" || fail "no session with the new back-end"
done
load_stop
check_counters disk
[[ $(wc -l <all.out) == 2 ]] || fail "devices came again: $(cat all.out)"
await_message all 'disk: the back-end was ended by signal 9'
await_message all 'disk: starting the back-end again in'
stop_run 0
alive "${SERVER[r]}" || fail "somebody else's back-end was ended"
stop_server r
nothing_left all entropy disk
