#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The guest's part of 20-kernel-console.sh.
export SYSTEM=/src/tests/system T=/tmp/kernel-console LONG=
mkdir -p "$T"
cd "$T" || exit 1
modprobe -a virtio_loopback virtio_console
. "$SYSTEM/lib.sh"
. "$SYSTEM/console/common.sh"

# Messages in a tight loop, as the kernel's own.
write_messages() {
	local i

	for ((i = 0; ; i++)); do
		echo "<1>message $i of the tight loop, long enough to take some room" >/dev/kmsg
	done
}

newer() {
	local line

	line=$(grep -ao 'message [0-9]* of' "$T/got" | tail -n 1)
	[[ $line ]] && ((${line//[!0-9]/} > $1))
}

# The number that the loop has reached, by the kernel's log.
reached() {
	local line

	line=$(dmesg | grep -o 'message [0-9]* of' | tail -n 1)
	echo "${line//[!0-9]/}"
}

messages_continue() {
	wait_until "$SLOW" newer "$(reached)" || fail "no more messages arrive $1"
}

drops() {
	(($(queue_counter c 1 dropped_bytes) > $1))
}

start_pinned() {
	start_console c --unix="$T/c.tty"
	taskset -acp 0 "${SERVER[c]}" >/dev/null
}

start_client() {
	receive_from c "$T/got"
	wait_until "$SLOW" connected c || fail "nobody takes the client"
}

# What the loop prints is no complaint of the kernel.
echo 8 >/proc/sys/kernel/printk
start_pinned
attach c console --timeout 3
[[ $(dev c) == /dev/hvc0 ]] || fail "it is $(dev c) and not hvc0"
grep -q hvc0 /proc/consoles || fail "hvc0 is no console of the kernel"
start_client
(
	trap - EXIT
	taskset -cp 0 $BASHPID >/dev/null
	write_messages
) &
writer=$!
wait_until "$SLOW" contains "$T/got" "message 5 of" || fail "no message arrives"
messages_continue "at first"

kill -STOP "${SERVER[c]}"
before=$(queue_counter c 1 dropped_bytes)
wait_until "$SLOW" drops "$before" || fail "nothing is dropped while the back-end is stopped"
kill -CONT "${SERVER[c]}"
messages_continue "after the stop"

before=$(queue_counter c 1 dropped_bytes)
kill_server c
wait_until "$SLOW" drops "$before" || fail "nothing is dropped without a back-end"
start_pinned
start_client
wait_state c running
messages_continue "after the kill"
kill "$writer"
wait "$writer" || true
dropped=$(queue_counter c 1 dropped_bytes)
detach c
stop_server c
echo "passed; dropped $dropped bytes, the loop reached $(reached)"
