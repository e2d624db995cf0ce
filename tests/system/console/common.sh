# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the tests of the console share; after lib.sh.

# make_data FILE BYTES
make_data() {
	head -c "$2" /dev/urandom >"$1"
}

has_size() {
	(($(stat -c %s "$1" 2>/dev/null || echo 0) >= $2))
}

# await_bytes FILE BYTES: until so many have come.
await_bytes() {
	wait_until $((240 * SLOWER)) has_size "$1" "$2" ||
		fail "$(stat -c %s "$1") of $2 bytes have come to ${1##*/}"
}

contains() {
	grep -qa -- "$2" "$1"
}

# receive_from NAME FILE: a client of the socket that writes down what comes; its process is $CLIENT.
receive_from() {
	: >"$2"
	socat -u "UNIX-CONNECT:$T/$1.tty" "OPEN:$2,wronly" &
	# shellcheck disable=SC2034 # the tests read it
	CLIENT=$!
}

# connected NAME: the back-end has taken a client.
connected() {
	[[ $(ss -xHn state established src "$T/$1.tty" 2>/dev/null | wc -l) -gt 0 ]]
}

# open_raw TTY: keeps it open as descriptor 7, raw: the last close would reset it.
open_raw() {
	exec 7<>"$1"
	stty raw -echo <&7
}

# only_hvc: the one terminal that exists.
only_hvc() {
	local tty

	for tty in /dev/hvc?; do
		if (: <>"$tty") 2>/dev/null; then
			echo "$tty"
			return 0
		fi
	done
	return 1
}

# port_says PORT LINE: of what its driver knows of it.
port_says() {
	grep -qx "$2" "/sys/kernel/debug/virtio-ports/${1##*/}"
}

# port_of NAME: the device of the port with this name.
port_of() {
	local file

	for file in /sys/class/virtio-ports/*/name; do
		if [[ $(cat "$file" 2>/dev/null) == "$1" ]]; then
			file=${file%/name}
			echo "/dev/${file##*/}"
			return 0
		fi
	done
	return 1
}

has_port() {
	port_of "$1" >/dev/null
}

no_port() {
	! port_of "$1" >/dev/null
}

await_port() {
	wait_until "$SLOW" has_port "$1" || fail "no port '$1' appears"
}
