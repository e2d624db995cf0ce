#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The size of the window reaches the terminal of a trusted console when it is opened and when the size changes:
# of a console alone, and of one among ports. Without trust it reaches none.
. "$SYSTEM/lib.sh"
. "$SYSTEM/console/common.sh"

size_of() {
	stty -F "$1" size
}

# size_is TTY ROWS COLUMNS
size_is() {
	[[ $(size_of "$1") == "$2 $3" ]]
}

await_size() {
	wait_until "$SLOW" size_is "$@" || fail "the size of $1 is $(size_of "$1"), not $2 $3"
}

# resize TTY: it is what the window was before, and becomes what that is now.
resize() {
	# The size goes with the last who has the terminal open.
	exec 7<>"$1"
	await_size "$1" 50 132
	stty -F "$T/c.tty" rows 24 cols 81
	await_size "$1" 24 81
	stty -F "$T/c.tty" rows 50 cols 132
	await_size "$1" 50 132
	exec 7>&-
}

for options in "--pty --link=$T/c.tty" "--port=name=first,unix=$T/p.first --port=name=c,pty,link=$T/c.tty,console"; do
	# shellcheck disable=SC2086 # several
	start_console c $options
	# Somebody sits there.
	exec 6<>"$T/c.tty"
	stty -F "$T/c.tty" rows 50 cols 132

	attach c console --trusted
	wait_until "$SLOW" only_hvc >/dev/null || fail "no terminal appears"
	resize "$(only_hvc)"
	detach c

	attach c console
	wait_until "$SLOW" only_hvc >/dev/null || fail "no terminal appears"
	tty=$(only_hvc)
	exec 7<>"$tty"
	stty -F "$T/c.tty" rows 24 cols 81
	# It looks at the window five times a second.
	sleep 1
	size_is "$tty" 0 0 || fail "a console that nobody trusts has the size $(size_of "$tty")"
	exec 7>&-
	detach c
	stop_server c
	exec 6>&-
done
