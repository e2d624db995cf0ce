#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The other half of the promise: the same programs, started the same way, serve a virtual
# machine (vhost-user-blk-pci, vhost-user-rng-pci). Runs outside the machine.
# limit: 900
set -euo pipefail

repo=$(realpath "$(dirname "$0")/../../..")
out=$(realpath "${1:?a directory for logs}")
T=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; rm -rf "$T"' EXIT

fail() {
	echo "FAIL: $*"
	tail -n 30 "$out"/*.log
	exit 1
}

start() {
	local name=$1 i

	shift
	LD_LIBRARY_PATH=$repo/build/lib "$@" --socket-path="$T/$name.sock" >"$out/$name.log" 2>&1 &
	pids+=("$!")
	for ((i = 0; i < 300; i++)); do
		[[ ! -S $T/$name.sock ]] || return 0
		sleep 0.1
	done
	fail "$name does not listen"
}

# machine PACKED: one run of a machine with both devices.
machine() {
	local arg args=()

	for arg in -object memory-backend-memfd,id=mem,size=1G,share=on -machine memory-backend=mem \
		-chardev "socket,id=blk,path=$T/blk.sock" -chardev "socket,id=rng,path=$T/rng.sock" \
		-device "vhost-user-blk-pci,chardev=blk,num-queues=2,packed=$1" \
		-device "vhost-user-rng-pci,chardev=rng,packed=$1"; do
		args+=(--qemu "$arg")
	done
	"$repo/tests/vm/vm" run --mem 1G --cpus 2 --timeout 300 --out "$out/packed-$1" "${args[@]}" \
		-- bash /src/tests/system/host/in-guest.sh >"$out/guest-$1.log" 2>&1
}

truncate -s 128M "$T/disk.img"
start blk "$repo/build/devices/blk/vloop-blk" --file="$T/disk.img" --num-queues=2
start rng "$repo/build/devices/rng/vloop-rng"
for packed in off on; do
	machine $packed || fail "the guest with packed=$packed ended with $?"
	echo "the machine with packed=$packed is done"
done

# What the guest wrote last is in the image.
printf 'written by the guest\n' >"$T/marker"
cmp -n 21 -i 0:104857600 "$T/marker" "$T/disk.img" || fail "the guest's data is not in the image"
for pid in "${pids[@]}"; do
	kill -0 "$pid" || fail "a back-end has ended"
done
