#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The other half of the promise: the same programs, started the same way, serve a virtual
# machine (vhost-user-blk-pci, vhost-user-rng-pci). Runs outside the machine.
# limit: 900
set -euo pipefail
. "$(dirname "$0")/qemu-lib.sh"

truncate -s 128M "$T/disk.img"
start blk "$repo/build/devices/blk/vloop-blk" --file="$T/disk.img" --num-queues=2
start rng "$repo/build/devices/rng/vloop-rng"
for packed in off on; do
	machine "packed-$packed" in-guest.sh \
		--qemu -device --qemu "vhost-user-blk-pci,chardev=blk,num-queues=2,packed=$packed" \
		--qemu -device --qemu "vhost-user-rng-pci,chardev=rng,packed=$packed"
	echo "the machine with packed=$packed is done"
done

# What the guest wrote last is in the image.
printf 'written by the guest\n' >"$T/marker"
cmp -n 21 -i 0:104857600 "$T/marker" "$T/disk.img" || fail "the guest's data is not in the image"
all_alive
