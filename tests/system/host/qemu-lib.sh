# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Back-ends outside of a virtual machine that they serve; to be sourced by a test with a directory
# for logs as its argument.

repo=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../..")
out=$(realpath "${1:?a directory for logs}")/$(basename "$0" .sh)
mkdir -p "$out"
T=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; rm -rf "$T"' EXIT

# What it needs and QEMU has to be told: memory that another process can map, and a socket.
args=(--qemu -object --qemu "memory-backend-memfd,id=mem,size=1G,share=on"
	--qemu -machine --qemu memory-backend=mem --mem 1G --cpus 2 --timeout 300)

fail() {
	echo "FAIL: $*"
	tail -n 15 "$out"/*.log
	exit 1
}

# start NAME PROGRAM ARG...: serves $T/NAME.sock, chardev NAME of the machine.
start() {
	local name=$1 i

	shift
	LD_LIBRARY_PATH=$repo/build/lib "$@" --socket-path="$T/$name.sock" >"$out/$name.log" 2>&1 &
	pids+=("$!")
	args+=(--qemu -chardev --qemu "socket,id=$name,path=$T/$name.sock")
	for ((i = 0; i < 300; i++)); do
		[[ ! -S $T/$name.sock ]] || return 0
		sleep 0.1
	done
	fail "$name does not listen"
}

# machine NAME SCRIPT OPTION...: runs a script of this directory in the machine. Where that was ended by
# the emulator (97, see vm --help), so is the test, and runs again.
machine() {
	local name=$1 script=$2 status=0

	shift 2
	"$repo/tests/vm/vm" run "${args[@]}" --out "$out/$name" "$@" \
		-- bash "/src/tests/system/host/$script" >"$out/guest-$name.log" 2>&1 || status=$?
	((status != 97)) || exit 97
	((status == 0)) || fail "the guest of $name ended with $status"
}

# The back-ends outlive the machine.
all_alive() {
	local pid

	for pid in "${pids[@]}"; do
		kill -0 "$pid" || fail "a back-end has ended"
	done
}
