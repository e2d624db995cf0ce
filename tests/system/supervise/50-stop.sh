#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Ending against resistance: a back-end that ignores SIGTERM and has children, one that hangs with
# requests in flight, a second signal, and vloop run itself killed.
. "$SYSTEM/supervise/run-lib.sh"

cat >stubborn.conf <<-'EOT'
	[device r]
	type = rng
	command = bash -c 'trap "" TERM; sleep 3333 & vloop-rng --socket-path="$0"; sleep 4444' ${socket}
	stop-timeout = 1s
EOT
no_sleepers() {
	! pgrep -f 'sleep (3333|4444)' >/dev/null
}
start_run stubborn
await stubborn r
stop_run 0
said stubborn 'r: the back-end does not end; killing it' || fail "it was not killed"
wait_until "$SLOW" no_sleepers || fail "a child of the back-end is left: $(pgrep -af 'sleep (3333|4444)')"
nothing_left stubborn r

# Requests that a hung back-end has are failed, and the second signal does not wait for that.
make_disk disk.img 32M
for patience in 1s 1000s; do
	cat >hung.conf <<-EOT
		[device disk]
		type = blk
		command = vloop-blk --socket-path=\${socket} --file=$T/disk.img
		stop-timeout = $patience
	EOT
	start_run hung
	await hung disk
	verify "$(node hung disk)" --size=8m --loops=1000 >load.log 2>&1 &
	load=$!
	wait_busy disk
	kill -STOP "$(backend_of vloop-blk)"
	kill "$RUN"
	if [[ $patience == 1000s ]]; then
		await_message hung 'taking the devices down'
		kill -INT "$RUN"
	fi
	ends "$RUN" "vloop run" || fail "it ended with $?"
	! ends "$load" load || fail "the load did not notice"
	nothing_left hung disk
done

# Killed: what it started ends by itself.
cat >killed.conf <<-EOT
	[device disk]
	type = blk
	command = vloop-blk --socket-path=\${socket} --file=$T/disk.img
	[device r]
	type = rng
	command = vloop-rng --socket-path=\${socket}
EOT
no_processes() {
	! pgrep -x 'vloop|vloop-blk|vloop-rng' >/dev/null
}
start_run killed
await killed disk r
kill -9 "$RUN"
wait_no_device disk
wait_no_device r
wait_until "$SLOW" no_processes || fail "left: $(ps ax)"
# And what it could not remove does not disturb the next one.
start_run killed
await killed disk r
verify "$(node killed disk)" --size=4m
stop_run 0
nothing_left killed disk r
