#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Back-ends that fail: how often they are started, what is said, what goes on, exit codes.
. "$SYSTEM/supervise/run-lib.sh"

# ended NAME STATUS
ended() {
	local status=0

	ends "$RUN" "vloop run" || status=$?
	((status == $2)) || fail "$1 ended with $status, not $2: $(cat "$T/$1.err")"
}

# At the start: everything is taken down again.
cat >never.conf <<-'EOT'
	[device first]
	type = rng
	command = vloop-rng --socket-path=${socket}
	[device second]
	type = rng
	command = sh -c 'echo "no hardware here" >&2; echo start >>starts; exit 3'
	restart-delay = 20ms
	restart-delay-max = 100ms
	restart-limit = 3
EOT
start_run never
ended never 3
(($(wc -l <starts) == 4)) || fail "started $(wc -l <starts) times, not 4"
for text in 'second: back-end: no hardware here' 'second: the back-end ended with status 3' \
	'starting the back-end again in 0.0 s .1 of 3' 'again in 0.1 s .3 of 3' \
	'second: the back-end has been started 4 times without success' 'taking all down'; do
	said never "$text" || fail "no message '$text'"
done
nothing_left never first second

# One that never listens, and one that has less than is asked for: the codes of vloop attach.
cat >silent.conf <<-'EOT'
	[device r]
	type = rng
	command = sleep 1000
	wait-socket = 1
	restart-limit = 1
	restart-delay = 20ms
EOT
start_run silent
ended silent 3
nothing_left silent r
make_disk disk.img 8M
cat >misfit.conf <<-EOT
	[device r]
	type = blk
	command = vloop-blk --socket-path=\${socket} --file=$T/disk.img
	queues = 2
EOT
start_run misfit
ended misfit 4
nothing_left misfit r

# Not to be started again at all.
cat >once.conf <<-'EOT'
	[device r]
	type = rng
	command = vloop-rng --socket-path=${socket} --once
	restart = never
EOT
start_run once
await once r
kill -9 "$(backend_of vloop-rng)"
ended once 3
nothing_left once r

# Later: the others go on.
touch ok
cat >later.conf <<-EOT
	[device shaky]
	type = rng
	command = sh -c 'test -e $T/ok && exec vloop-rng --socket-path="\$0"' \${socket}
	restart-delay = 20ms
	restart-delay-max = 50ms
	restart-limit = 2
	[device disk]
	type = blk
	command = vloop-blk --socket-path=\${socket} --file=$T/disk.img
EOT
start_run later
await later shaky disk
rm ok
kill -9 "$(backend_of vloop-rng)"
await_message later 'shaky: the device is given up'
wait_no_device shaky
verify "$(node later disk)" --size=4m
stop_run 3
nothing_left later shaky disk

# What is wrong in the file is said before anything starts.
printf '[device r]\ntype = rng\ncommand = no-such-program\n' >bad.conf
expect 2 vloop run bad.conf 2>bad.err
grep -qF "bad.conf:3:11: there is no program 'no-such-program'" bad.err || fail "$(cat bad.err)"
printf '[device r]\ntype = rng\nqueues = many\n' >bad.conf
expect 2 vloop run --check bad.conf 2>bad.err
grep -qF "bad.conf:3:10: queues: expected a number from 1 to 128, not 'many'" bad.err || fail "$(cat bad.err)"

# Nobody gets to know its name; it is there.
cat >full.conf <<-'EOT'
	[device r]
	type = rng
	command = vloop-rng --socket-path=${socket}
EOT
vloop run --directory "$T/full.run" full.conf >/dev/full 2>full.err &
RUN=$!
await_message full 'could not be written to the standard output: No space left'
wait_state r running
stop_run 0
nothing_left full r
