#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What vloop does with a command line before it does anything else.
# Usage: command-line.sh VLOOP
vloop=$1
n=0

# check DESCRIPTION COMMAND...: the command is to succeed
check() {
	what=$1
	shift
	n=$((n + 1))
	if "$@"; then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
	fi
}

same_help() {
	[ "$("$vloop" "$@")" = "$("$vloop" attach --help)" ]
}

# fails STATUS PATTERN ARGUMENT...
fails() {
	status=$1
	pattern=$2
	shift 2
	message=$("$vloop" "$@" 2>&1 >/dev/null)
	[ $? -eq "$status" ] && printf '%s\n' "$message" | grep -q -e "$pattern"
}

full() {
	message=$("$vloop" "$@" 2>&1 >/dev/full)
	[ $? -eq 1 ] && [ "$message" = "vloop: writing to the standard output: No space left on device" ]
}

fails_closed() {
	message=$("$vloop" --version 2>&1 >&-)
	[ $? -eq 1 ] && [ "$message" = "vloop: writing to the standard output: Bad file descriptor" ]
}

late_file() {
	{ sleep 0.2 && printf '[device d]\ntype = rng\nsocket = /run/s\n'; } |
		"$vloop" run --check /dev/stdin | grep -q 'socket: /run/s'
}

# Root without capabilities is bound by the rights of a directory, too.
forbidden() {
	directory=$(mktemp -d)
	chmod 0 "$directory"
	drop=
	[ "$(id -u)" -eq 0 ] && drop="setpriv --bounding-set=-all --inh-caps=-all"
	message=$($drop "$vloop" probe "$directory/socket" 2>&1)
	status=$?
	rmdir "$directory"
	[ $status -eq 6 ] && printf '%s\n' "$message" | grep -q "no permission to connect"
}

# Without a child's exit status nothing would ever be known to have ended.
ignores_children() {
	directory=$(mktemp -d)
	printf '[device d]\ntype = rng\ncommand = true\nrestart = never\n' >"$directory/conf"
	timeout -k 5 60 env --ignore-signal=CHLD "$vloop" run --directory "$directory/run" "$directory/conf" \
		>/dev/null 2>"$directory/log"
	status=$?
	message=$(cat "$directory/log")
	rm -r "$directory"
	[ $status -eq 3 ] && printf '%s\n' "$message" | grep -q "back-end ended with status 0"
}

# JSON is UTF-8 whatever bytes a path has (RFC 8259, 8.1).
json_of_bytes() {
	file=$(mktemp)
	printf '[device d]\ntype = rng\nsocket = /run/\374ber/\303\274ber\ncommand = cat \377\n' >"$file"
	json=$("$vloop" run --check --json "$file" | iconv -f UTF-8 -t UTF-8)
	result=$?
	rm -f "$file"
	[ $result -eq 0 ] && printf '%s\n' "$json" | grep -q -F '"/run/�ber/über"'
}

echo 1..22
check "help behind other words" same_help attach blk /no/socket --help
check "help by its letter" same_help attach -h
check "help about a subcommand" same_help help attach
check "help about what there is not" fails 2 "no subcommand 'nonsense'" help nonsense
check "no help behind --" fails 2 "no device type '--help'" attach -- --help /no/socket
check "an option that there is not" fails 2 "^vloop list: unrecognized option '--nonsense'" list --nonsense
check "output that cannot be written" full attach --help
check "help that cannot be written" full --help
check "a version that cannot be written" full --version
check "no standard output" fails_closed
check "a file that comes late through a pipe" late_file
check "a socket without a name" fails 2 "SOCKET is empty" probe ""
check "the same to be attached" fails 2 "SOCKET is empty" attach rng ""
check "a socket that may not be used" forbidden
check "JSON of a path that is not UTF-8" json_of_bytes
check "SIGCHLD that was ignored" ignores_children
check "nothing to detach" fails 2 "expected NAME, or --all" detach --force
check "a name besides all" fails 2 "such as 'disk0'" detach --all disk0
check "the type first" fails 3 "^vloop: /nonexistent/s: there is no such socket" probe blk /nonexistent/s
check "the type last" fails 3 "^vloop: /nonexistent/s: there is no such socket" probe /nonexistent/s blk
check "half a second" fails 2 "whole seconds, 1 to 86400, not '0.5'" stats --interval 0.5
if [ -e /sys/class/virtio-loopback ]; then
	echo "ok 22 - no module # SKIP it is loaded"
else
	check "no module" fails 5 "modprobe" show disk0
fi
