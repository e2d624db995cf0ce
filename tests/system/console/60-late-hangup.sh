#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# hvc's thread is late when it hangs up a terminal whose console goes: everybody else has closed it by
# then. The driver is unbound, the port is removed, both at once, the device is detached.
# limit: 300
. "$SYSTEM/lib.sh"
. "$SYSTEM/console/common.sh"

modinfo virtio_loopback_late >/dev/null 2>&1 ||
	skip "this kernel has no module that makes hvc late"

drivers=/sys/bus/virtio/drivers/virtio_console
hangups=/sys/module/virtio_loopback_late/parameters/hangups

have_tty() {
	tty=$(only_hvc)
}

# ports NAME...: the file, NAMEs are terminals.
ports() {
	printf "name=%s,unix=$T/%s\n" data data extra1 extra1 extra2 extra2 extra3 extra3
	printf "name=%s,unix=$T/tty,console\n" "$@"
}

# write_until COMMAND...: has the terminal filled until COMMAND, which takes the console away, has ended.
# khvcd must have been late then. It is not any more when this returns: until the terminal is gone, who
# opens it meets the same race of hvc's (doc/security.md).
write_until() {
	local writer

	wait_state c running
	await_port data
	wait_until "$SLOW" have_tty || fail "no terminal"
	modprobe virtio_loopback_late
	cat /dev/zero >"$tty" 2>/dev/null &
	writer=$!
	wait_busy c
	"$@" || fail "$*: $?"
	! ends "$writer" writer || fail "the writer did not notice"
	(($(<$hangups) > 0)) || fail "khvcd hung up nothing: $*"
	rmmod virtio_loopback_late
}

unbind() {
	timeout "$SLOW" tee $drivers/unbind <<<"$virtio" >"$T/unbound"
}

# All ports but one.
ask_for_removal() {
	printf 'name=data,unix=%s/data\n' "$T" >"$T/ports"
	kill -HUP "${SERVER[c]}"
}

remove_port() {
	ask_for_removal
	wait_until "$SLOW" no_port terminal
}

unbind_and_remove() {
	ask_for_removal
	unbind
}

bind() {
	timeout "$SLOW" tee $drivers/bind <<<"$virtio" >"$T/bound" || fail "bind: $?"
}

ports terminal >"$T/ports"
start_console c --ports="$T/ports" --max-ports=5
attach c console
virtio=$(basename "$(readlink -f "$CLASS/c"/virtio*)")
for ((i = 0; i < $(pick 3 20); i++)); do
	await_port terminal
	write_until unbind
	bind

	await_port terminal
	write_until remove_port
	ports terminal >"$T/ports"
	kill -HUP "${SERVER[c]}"

	await_port terminal
	write_until unbind_and_remove
	ports terminal >"$T/ports"
	kill -HUP "${SERVER[c]}"
	bind
done
await_port terminal
write_until detach c
stop_server c
