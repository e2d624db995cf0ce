#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The disk grows while a file system on it is mounted.
# variants: qsd vloop-blk
. "$SYSTEM/lib.sh"

grow() {
	case $BACKEND in
	qsd)
		python3 "$SYSTEM/qmp.py" "$T/d.qmp" block_resize node-name=n0 size="$1"
		;;
	vloop-blk)
		truncate -s "$1" disk.img
		[[ ! ${2:-} ]] || kill -HUP "${SERVER[d]}"
		;;
	esac
}

has_size() {
	[[ $(blockdev --getsize64 "$(dev d)") == "$1" ]]
}

make_disk disk.img 32M
start_disk d disk.img
attach d blk
mkdir mnt
mkfs.ext4 -q "$(dev d)"
mount "$(dev d)" mnt
echo kept >mnt/file
for mib in 64 128; do
	# The second time the back-end notices by itself.
	grow $((mib << 20)) "$([[ $mib == 128 ]] || echo hup)"
	wait_until "$SLOW" has_size $((mib << 20)) ||
		fail "$(blockdev --getsize64 "$(dev d)") bytes, not $mib MiB"
	resize2fs "$(dev d)" 2>resize.log
	(($(stat -f -c '%b * %S' mnt) > (mib << 20) * 8 / 10)) || fail "the file system did not grow"
done
dd if=/dev/urandom of=mnt/big bs=1M count=80 2>dd.log
md5sum mnt/big >sum
umount mnt
e2fsck -fn "$(dev d)" >e2fsck.log
mount "$(dev d)" mnt
md5sum --quiet -c sum
[[ $(<mnt/file) == kept ]] || fail "the file has changed"
umount mnt
detach d
