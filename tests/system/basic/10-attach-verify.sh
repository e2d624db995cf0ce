#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A disk: attach, write and verify, attach again, the data is there, detach.
# variants: qsd vloop-blk
. "$SYSTEM/lib.sh"

make_disk disk.img 64M
start_disk d disk.img
attach d blk
disk=$(dev d)
mkfs.ext4 -q "$disk"
mkdir mnt
mount "$disk" mnt
cp -r /usr/lib/modprobe.d /usr/share/bash-completion mnt/
umount mnt
detach d

[[ ! -e $disk ]] || fail "$disk is still there"
stop_server d
start_disk d disk.img
attach d blk
e2fsck -fn "$(dev d)" >e2fsck.log
mount -o ro "$(dev d)" mnt
diff -r /usr/share/bash-completion mnt/bash-completion
umount mnt
verify "$(dev d)" --offset=16m
check_counters d
detach d
