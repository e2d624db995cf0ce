#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The part of "staged" that runs in the virtual machine: its files come where they belong.

set -u
# shellcheck source=tests/install/guest-common.sh
. "$(dirname "$0")/guest-common.sh"

# systemd-analyze knows an order only when it is contradicted.
before_mounts() {
	local unit

	for unit in vloop@x.service vloop-run@x.service; do
		systemd-analyze verify --man=no "$unit" || return
		mkdir -p "/run/systemd/system/$unit.d"
		printf '[Unit]\nAfter=remote-fs-pre.target\n' >"/run/systemd/system/$unit.d/after.conf"
		[[ $(systemd-analyze verify --man=no "$unit" 2>&1) == *"ordering cycle"* ]] ||
			{ echo "$unit is not before mounts" && return 1; }
	done
}

# attach_disk NAME [COMMAND...]: COMMAND runs it as somebody.
attach_disk() {
	local name=$1

	shift
	"$@" truncate -s 1M "/tmp/$name.img"
	"$@" vloop-blk --socket-path="/tmp/$name.sock" --file="/tmp/$name.img" >"/tmp/$name.log" 2>&1 &
	"$@" vloop attach blk "/tmp/$name.sock" --name "$name" --pool 4M --background --wait-socket 20
}

# A user's disk must not get a name that one of root's may have.
disk_names() {
	local by_id=/dev/disk/by-id names status=0

	modprobe virtio_loopback unprivileged_types=blk && udevadm settle && chmod 666 /dev/virtio-loopback || return
	attach_disk d && attach_disk d-part1 setpriv --reuid 65534 --regid 65534 --clear-groups || status=1
	udevadm settle
	names=$(cd "$by_id" && echo virtio-loopback-*)
	[[ $names == "virtio-loopback-d virtio-loopback-d-part1@65534" ]] || { echo "$names" && status=1; }
	vloop detach d && vloop detach d-part1 || status=1
	# shellcheck disable=SC2046
	kill $(jobs -p)
	wait
	((status == 0)) || { cat /tmp/d*.log && return 1; }
	modprobe -r virtio_loopback
}

forget_tree
cp -r /results/dest/. /
ldconfig
udevadm control --reload
check "vloop is found" vloop --version
check "a device works" works
check "the example is right, and the service is there" checks_example
check "units are right, and before mounts of disks" before_mounts
check "disks have names" disk_names
