#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Somebody logs in at the terminal and works there; the size of the window; the end of the session.
# limit: 300
. "$SYSTEM/lib.sh"
. "$SYSTEM/console/common.sh"
requires socat agetty login

# say TEXT: the user types it.
say() {
	printf '%s\r' "$1" >&8
}

# await TEXT: it is on the screen.
await() {
	wait_until "$SLOW" contains "$T/screen" "$1" ||
		fail "'$1' does not appear: $(tail -c 500 "$T/screen" | cat -v)"
}

add_user() {
	grep -q '^visitor:' /etc/passwd || echo "visitor::1234:1234::/tmp:/bin/bash" >>/etc/passwd
	grep -q '^visitor:' /etc/shadow || echo "visitor::20000:0:99999:7:::" >>/etc/shadow
}

add_user
start_console c --pty --link="$T/c.tty"
attach c console
tty=$(dev c)
setsid agetty --noclear --noissue "${tty#/dev/}" vt100 &
getty=$!
mkfifo "$T/keys"
: >"$T/screen"
socat "FILE:$T/c.tty,raw,echo=0" "PIPE:$T/keys!!OPEN:$T/screen,wronly" &
exec 8>"$T/keys"
await "login:"
say visitor
# login throws away what is typed before the shell is there.
await 'visitor@.*[$] '
# shellcheck disable=SC2016 # for the shell on the other side
say 'echo "six times seven is $((6 * 7)), I am $(id -un) at $(tty)"'
await "six times seven is 42, I am visitor at $tty"
say 'stty -a | grep -o "intr = [^;]*"'
await 'intr = ^C'

# A key that is a signal.
say 'sleep 1000; echo "woken up: $?"'
await 'sleep 1000'
wait_until "$SLOW" pgrep -x -u 1234 sleep >/dev/null || fail "the command does not run"
printf '\003' >&8
wait_until "$SLOW" eval '! pgrep -x -u 1234 sleep >/dev/null' || fail "Ctrl-C ends nothing"

# A new back-end under the session: it goes on.
kill_server c
wait_state c waiting
start_console c --pty --link="$T/c.tty"
wait_state c running
: >"$T/screen"
exec 8>&-
rm "$T/keys"
mkfifo "$T/keys"
socat "FILE:$T/c.tty,raw,echo=0" "PIPE:$T/keys!!OPEN:$T/screen,wronly" &
exec 8>"$T/keys"
say ''
# shellcheck disable=SC2016 # as above
say 'echo "still $(id -un), $((2 + 3))"'
await "still visitor, 5"
say 'exit'
wait_until "$SLOW" gone "$getty" || fail "the session does not end"
exec 8>&-
detach c
stop_server c
