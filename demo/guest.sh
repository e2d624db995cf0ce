#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The demonstration itself, run as root in the virtual machine. Every command
# that matters is printed before it runs. The first one that fails ends it.

set -euo pipefail

# One stream, so that messages stay beside the command that they belong to.
exec 2>&1

readonly WORK=/tmp/demo
readonly DISK_SOCKET=$WORK/disk.sock RNG_SOCKET=$WORK/rng.sock
readonly SOURCE=/usr/bin

chapter() {
	printf '\n== %s\n' "$*"
}

note() {
	printf '   %s\n' "$*"
}

die() {
	printf '\nDEMO FAILED: %s\n' "$*"
	exit 1
}

# show COMMAND...: prints the command, runs it, and indents what it says.
show() {
	local status=0

	printf '   $ %s\n' "$*"
	"$@" 2>&1 | sed 's/^/     /' || status=$?
	((status == 0)) || die "'$*' ended with status $status"
}

# start LOG COMMAND...: the same for a program that stays.
start() {
	local log=$1

	shift
	printf '   $ %s &\n' "$*"
	"$@" >"$log" 2>&1 &
}

wait_for_socket() {
	local tries=0

	until [[ -S $1 ]]; do
		((++tries < 200)) || die "$1 did not appear"
		sleep 0.05
	done
}

# attach NAME TYPE SOCKET: sets "device" to what the kernel made of it.
attach() {
	printf '   $ vloop attach %s %s --name %s --background\n' "$2" "$3" "$1"
	device=$(vloop attach "$2" "$3" --name "$1" --background) || die "vloop attach failed"
	printf '     %s\n' "$device"
}

checksums() {
	(cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) >"$2"
}

# same_files A B: two lists of checksums have to be equal.
same_files() {
	cmp -s "$1" "$2" || die "the files differ: $(diff "$1" "$2" | head -n 3)"
	note "$(wc -l <"$1") files compared by SHA-256: all equal"
}

disk_demo() {
	local stock device

	chapter "1. A stock qemu-storage-daemon exports a disk image over vhost-user-blk"
	show qemu-storage-daemon --version
	show truncate -s 256M "$WORK/disk.img"
	start "$WORK/storage.log" qemu-storage-daemon \
		--blockdev "driver=file,node-name=disk,filename=$WORK/disk.img,discard=unmap" \
		--export "type=vhost-user-blk,id=e0,node-name=disk,writable=on,addr.type=unix,addr.path=$DISK_SOCKET"
	stock=$!
	wait_for_socket "$DISK_SOCKET"

	chapter "2. vloop makes it a block device of this running kernel ($(uname -r))"
	show modprobe virtio_loopback
	attach disk0 blk "$DISK_SOCKET"
	[[ -b $device ]] || die "$device is not a block device"
	show lsblk -o NAME,SIZE,TYPE,RO "$device"
	show readlink -f "/sys/block/${device##*/}/device"
	note "The driver is the kernel's own virtio_blk; the back-end is process $stock."
	show vloop list

	chapter "3. A file system, and real files on it"
	show mkfs.ext4 -q "$device"
	mkdir -p "$WORK/mnt"
	show mount "$device" "$WORK/mnt"
	show cp -a "$SOURCE" "$WORK/mnt/"
	show sync -f "$WORK/mnt"
	show df -h "$WORK/mnt"
	echo 3 >/proc/sys/vm/drop_caches
	checksums "$SOURCE" "$WORK/before"
	checksums "$WORK/mnt/${SOURCE##*/}" "$WORK/after"
	same_files "$WORK/before" "$WORK/after"
	show vloop stats disk0

	chapter "4. Detach: the disk goes, the back-end stays"
	show umount "$WORK/mnt"
	show vloop detach disk0
	[[ ! -b $device ]] || die "$device is still there"
	note "$device is gone."
	kill -0 "$stock" 2>/dev/null || die "qemu-storage-daemon has ended: $(<"$WORK/storage.log")"

	chapter "5. Attach again: the files are still there"
	attach disk0 blk "$DISK_SOCKET"
	show e2fsck -f -n "$device"
	show mount -o ro "$device" "$WORK/mnt"
	checksums "$WORK/mnt/${SOURCE##*/}" "$WORK/again"
	same_files "$WORK/before" "$WORK/again"
	show umount "$WORK/mnt"
	show vloop detach disk0
	kill "$stock"
	wait "$stock" || die "qemu-storage-daemon ended with status $?: $(<"$WORK/storage.log")"
}

rng_demo() {
	local source device

	chapter "6. The same with a device of our own: vloop-rng feeds /dev/hwrng"
	start "$WORK/rng.log" vloop-rng --socket-path="$RNG_SOCKET"
	source=$!
	wait_for_socket "$RNG_SOCKET"
	attach rng0 rng "$RNG_SOCKET"
	show cat /sys/class/misc/hw_random/rng_current
	note '$ head -c 252500 /dev/hwrng | rngtest'
	# rngtest ends with status 1 when a block fails, and 1 of 1250 good ones does.
	timeout 300 head -c 252500 /dev/hwrng >"$WORK/random" || die "/dev/hwrng gave too little"
	rngtest <"$WORK/random" >"$WORK/rngtest.log" 2>&1 || true
	sed -n 's/^rngtest: \(FIPS 140-2 \(successes\|failures\).*\)/     \1/p' "$WORK/rngtest.log"
	awk -F': ' '
		/FIPS 140-2 successes/ { good = $3 }
		/FIPS 140-2 failures/ { bad = $3 }
		END { exit !(good >= 97 && bad <= 3) }' "$WORK/rngtest.log" ||
		die "rngtest is not content: $(<"$WORK/rngtest.log")"
	show vloop detach rng0
	kill "$source"
	wait "$source" || die "vloop-rng ended with status $?: $(<"$WORK/rng.log")"
}

chapter_end() {
	chapter "7. Everything can be taken away again"
	show modprobe -r virtio_loopback
	printf '\nDEMO PASSED: a vhost-user process served as a local disk, another as the hardware\n'
	printf 'random number generator, with no hypervisor between them and the kernel.\n'
}

mkdir -p "$WORK"
disk_demo
rng_demo
chapter_end
