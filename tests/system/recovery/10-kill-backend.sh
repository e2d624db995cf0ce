#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The back-end is killed at random moments under load, and another takes over each time:
# no I/O error, right data, every request completed once.
# variants: qsd vloop-blk
# limit: 400
# limit-long: 1500
. "$SYSTEM/lib.sh"

sessions_above() {
	(($(<"$CLASS/d/sessions") > $1))
}

queues=2
make_disk disk.img 96M
start_disk d disk.img "$queues"
attach d blk --queues "$queues"
open_files() {
	find "/proc/${ADAPTER[d]}/fd" -mindepth 1 | wc -l
}

files=$(open_files)
load_start "$(dev d)" --size="$(pick 8m 32m)" --iodepth=16 --bsrange=512-256k \
	--numjobs="$queues" --offset_increment=40m
for ((kills = 0; kills < $(pick 20 60); kills++)); do
	# Now and then before the new one is known, mostly under load.
	if (($(random 4))); then
		wait_state d running
		sleep "0.$(random 10)$(random 10)"
	fi
	alive "$LOAD" || break
	sessions=$(<"$CLASS/d/sessions")
	kill_server d
	start_disk d disk.img "$queues"
done
wait_until "$SLOW" sessions_above "$sessions" || fail "no session with the last back-end"
load_stop
verify "$(dev d)" --size=8m
((kills == $(pick 20 60))) || fail "the load ended after $kills kills"
(($(counter d reoffered) > 0)) || fail "no kill hit a request in flight"
check_counters d
(($(open_files) == files)) || fail "the adapter has $(open_files) open files, it had $files"
note "sessions: $(<"$CLASS/d/sessions")"
detach d
