#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The adapter of a device is killed: its device goes, another comes in its place and works, and
# the other device does not notice. A device that is detached, if by force, stays away.
. "$SYSTEM/supervise/run-lib.sh"

came_again() {
	(($(grep -c '^disk: ' all.out) > $1))
}

make_disk disk.img 32M
cat >all.conf <<-EOT
	[device disk]
	type = blk
	command = vloop-blk --socket-path=\${socket} --file=$T/disk.img
	restart-delay = 50ms
	restart-delay-max = 500ms
	restart-limit = none
	[device entropy]
	type = rng
	command = vloop-rng --socket-path=\${socket}
EOT
start_run all
await all disk entropy
rng=$(adapter_of entropy)
for ((i = 1; i <= $(pick 4 20); i++)); do
	# Half of them with requests in flight, which end with errors.
	if ((i % 2)); then
		verify "$(node all disk)" --size=8m --loops=1000 >load.log 2>&1 &
		load=$!
		wait_busy disk
	fi
	kill -9 "$(adapter_of disk)"
	wait_until "$SLOW" came_again "$i" || fail "the device was not made again"
	[[ ! ${load:-} ]] || { ends "$load" load && fail "the load did not notice"; }
	load=
done
verify "$(node all disk)" --size=8m
check_counters disk
[[ $(adapter_of entropy) == "$rng" ]] || fail "the other device was touched"

expect 0 vloop detach --force disk
await_message all 'disk: the device was detached'
no_backend() {
	[[ ! $(backend_of vloop-blk) ]]
}
wait_until "$SLOW" no_backend || fail "the back-end of a detached device runs on"
no_device disk || fail "the device is back"
no_device entropy && fail "the other device is gone"
stop_run 0
nothing_left all disk entropy
