#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# 10 MiB each way through a raw terminal come as they went, also when the reader is slow. They go on
# with the next client.
# limit: 400
. "$SYSTEM/lib.sh"
. "$SYSTEM/console/common.sh"
requires socat stty

bytes=$(pick $((10 << 20)) $((64 << 20)))

# to_client FILE: what the terminal is given arrives at the socket.
to_client() {
	receive_from c "$T/got"
	wait_until "$SLOW" connected c || fail "nobody takes the client"
	"$@" >&7
	await_bytes "$T/got" "$bytes"
	cmp "$T/data" "$T/got" || fail "other bytes have arrived"
	kill "$CLIENT"
	wait "$CLIENT" || true
}

# A reader that sleeps holds up the writer; nothing is lost.
slow_client() {
	local reader

	socat -u "UNIX-CONNECT:$T/c.tty" SYSTEM:"sleep 2; cat >$T/got" &
	reader=$!
	: >"$T/got"
	wait_until "$SLOW" connected c || fail "nobody takes the slow client"
	cat "$T/data" >&7
	await_bytes "$T/got" "$bytes"
	cmp "$T/data" "$T/got" || fail "other bytes have arrived at the slow reader"
	kill "$reader"
	wait "$reader" || true
}

# from_client: what a client sends before it leaves can be read from the terminal.
from_client() {
	: >"$T/got"
	head -c "$bytes" <&7 >"$T/got" &
	socat -u "FILE:$T/data" "UNIX-CONNECT:$T/c.tty"
	await_bytes "$T/got" "$bytes"
	wait $!
	cmp "$T/data" "$T/got" || fail "other bytes have been read"
}

make_data "$T/data" "$bytes"
start_console c --unix="$T/c.tty"
attach c console
note "the console is $(dev c)"
[[ $(dev c) == /dev/hvc* ]] || fail "not a terminal: $(dev c)"
open_raw "$(dev c)"
to_client cat "$T/data"
from_client
to_client dd if="$T/data" bs=1000 status=none
slow_client
note "stalls=$(queue_counter c 1 stalls)"
(($(queue_counter c 1 dropped) == 0)) || fail "$(queue_counter c 1 dropped_bytes) bytes were dropped"

# Both ways at once.
receive_from c "$T/got"
wait_until "$SLOW" connected c || fail "nobody takes the client"
kill "$CLIENT"
wait "$CLIENT" || true
: >"$T/got"
: >"$T/got-tty"
head -c "$bytes" <&7 >"$T/got-tty" &
socat -b 8192 "UNIX-CONNECT:$T/c.tty" "FILE:$T/data!!OPEN:$T/got,wronly" &
client=$!
wait_until "$SLOW" connected c || fail "nobody takes the client"
cat "$T/data" >&7
await_bytes "$T/got-tty" "$bytes"
await_bytes "$T/got" "$bytes"
cmp "$T/data" "$T/got-tty" || fail "other bytes have been read while others were written"
cmp "$T/data" "$T/got" || fail "other bytes have arrived while others were read"
kill "$client" 2>/dev/null || true
exec 7>&-
detach c
stop_server c
