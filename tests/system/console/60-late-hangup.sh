#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# hvc's thread is late when it hangs up a terminal whose console goes: everybody else has closed it by
# then. The driver is unbound, the port is removed, the device is detached.
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
	printf 'name=data,unix=%s/data\n' "$T"
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

remove_port() {
	printf 'name=data,unix=%s/data\n' "$T" >"$T/ports"
	kill -HUP "${SERVER[c]}"
	wait_until "$SLOW" no_port terminal
}

ports terminal >"$T/ports"
start_console c --ports="$T/ports" --max-ports=2
attach c console
virtio=$(basename "$(readlink -f "$CLASS/c"/virtio*)")
for ((i = 0; i < $(pick 3 20); i++)); do
	await_port terminal
	write_until unbind
	timeout "$SLOW" tee $drivers/bind <<<"$virtio" >"$T/bound" || fail "bind: $?"

	await_port terminal
	write_until remove_port
	ports terminal >"$T/ports"
	kill -HUP "${SERVER[c]}"
done
await_port terminal
write_until detach c
stop_server c
