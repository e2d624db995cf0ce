#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The driver is unbound, again and again, while it spins: for a console's output, and for the messages
# that a port was opened and closed. It frees what it finds in its rings then, and must find none of what
# it was spinning for. The console comes back.
# limit: 400
. "$SYSTEM/lib.sh"
. "$SYSTEM/console/common.sh"
requires stty

drivers=/sys/bus/virtio/drivers/virtio_console

have_tty() {
	tty=$(only_hvc)
}

open_and_close() {
	while : <"$1"; do :; done 2>/dev/null
}

start_console c --port="name=terminal,unix=$T/terminal,console" --port="name=data,unix=$T/data"
attach c console
virtio=$(basename "$(readlink -f "$CLASS/c"/virtio*)")
for ((i = 0; i < $(pick 20 150); i++)); do
	wait_state c running
	wait_until "$SLOW" have_tty || fail "no terminal in round $i"
	await_port data
	stty raw -echo <"$tty"
	cat /dev/zero >"$tty" 2>/dev/null &
	writer=$!
	open_and_close "$(port_of data)" &
	opener=$!
	wait_busy c
	timeout "$SLOW" tee $drivers/unbind <<<"$virtio" >unbound || fail "unbind: $?"
	! ends "$writer" writer || fail "the writer did not notice"
	ends "$opener" opener || true
	timeout "$SLOW" tee $drivers/bind <<<"$virtio" >bound || fail "bind: $?"
done
wait_state c running
wait_until "$SLOW" have_tty || fail "no terminal at the end"
note "resets: $(<"$CLASS/c/epoch")"
detach c
stop_server c
