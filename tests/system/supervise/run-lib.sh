# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# For the tests of vloop run. start_run NAME runs $T/NAME.conf with sockets below $T/NAME.run; what
# it prints is in $T/NAME.out and $T/NAME.err, its process is $RUN.

. "$SYSTEM/lib.sh"

start_run() {
	local name=$1

	shift
	: >"$T/$name.out"
	vloop run --directory "$T/$name.run" "$@" "$T/$name.conf" >"$T/$name.out" 2>>"$T/$name.err" &
	RUN=$!
}

came() {
	grep -q "^$2: " "$T/$1.out" || ! alive "$RUN"
}

# await NAME DEVICE...: until they are there.
await() {
	local name=$1 device

	shift
	for device; do
		wait_until "$SLOW" came "$name" "$device" || fail "$device does not come"
		grep -q "^$device: " "$T/$name.out" || fail "vloop run ended without $device"
	done
}

# node NAME DEVICE: its kernel device, as last printed.
node() {
	sed -n "s/^$2: //p" "$T/$1.out" | tail -n 1
}

said() {
	grep -qE -- "$2" "$T/$1.err"
}

# await_message NAME PATTERN
await_message() {
	wait_until "$SLOW" said "$1" "$2" || fail "no message '$2'"
}

# adapter_of DEVICE, backend_of PROGRAM: their process numbers.
adapter_of() {
	pgrep -f "attach .*--name $1 "
}

backend_of() {
	pgrep -x "$1"
}

# stop_run STATUS: how it has to end after SIGTERM.
stop_run() {
	local status=0

	kill "$RUN"
	ends "$RUN" "vloop run" || status=$?
	((status == $1)) || fail "vloop run ended with $status, not $1"
}

# nothing_left NAME DEVICE...: no processes, directories or devices.
nothing_left() {
	local name=$1 left

	shift
	[[ ! -e $T/$name.run ]] || fail "left: $(find "$T/$name.run")"
	left=$(pgrep -ax 'vloop|vloop-blk|vloop-rng|vloop-input|vloop-console') && fail "left: $left"
	for device; do
		[[ ! -e $CLASS/$device ]] || fail "device $device is left"
	done
}
