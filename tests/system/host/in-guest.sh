#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The guest's part of 10-qemu-guest.sh: /dev/vda and /dev/hwrng are our devices.
set -euxo pipefail

# Nobody loads drivers here.
modprobe -a virtio_blk virtio-rng
[[ $(blockdev --getsize64 /dev/vda) == $((128 << 20)) ]]
[[ $(find /sys/block/vda/mq -mindepth 1 -maxdepth 1 -type d | wc -l) == 2 ]]

# The second machine finds what the first one left.
mkdir -p /tmp/mnt
if dumpe2fs -h /dev/vda >/dev/null 2>&1; then
	e2fsck -fn /dev/vda
	mount /dev/vda /tmp/mnt
	diff -r /usr/share/bash-completion /tmp/mnt/bash-completion
	umount /tmp/mnt
fi
mkfs.ext4 -q -F /dev/vda 64M
mount /dev/vda /tmp/mnt
cp -r /usr/share/bash-completion /tmp/mnt/
fstrim /tmp/mnt
umount /tmp/mnt
e2fsck -fn /dev/vda

timeout 200 fio --name=verify --filename=/dev/vda --direct=1 --ioengine=io_uring --rw=randwrite \
	--offset=64m --offset_increment=16m --size=8m --numjobs=2 --bsrange=512-1m --iodepth=16 \
	--serialize_overlap=1 --verify=crc32c --verify_fatal=1 --allow_file_create=0
printf 'written by the guest\n' | dd of=/dev/vda seek=100M oflag=seek_bytes conv=fsync

grep -q virtio_rng /sys/class/misc/hw_random/rng_current
timeout 100 rngtest -c 40 </dev/hwrng 2>/tmp/rngtest || true
cat /tmp/rngtest
(($(sed -n 's/.*FIPS 140-2 failures: //p' /tmp/rngtest) <= 2))
