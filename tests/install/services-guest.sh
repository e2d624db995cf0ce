#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The part of "run" with systemd as process 1: the services, as vloop-attach(1) and vloop-run(1) describe them.

set -u
# shellcheck source=tests/install/guest-common.sh
. "$(dirname "$0")/guest-common.sh"

readonly CLASS=/sys/class/virtio-loopback EXAMPLE=/usr/local/share/doc/virtio-loopback/examples/devices.conf
readonly DISK=/dev/disk/by-id/virtio-loopback-disk0

# await COMMAND...: until it succeeds, for a minute.
await() {
	local end=$((SECONDS + 60))

	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || { echo "not within a minute: $*" && return 1; }
		sleep 0.2
	done
}

property() {
	systemctl show --value -P "$2" "$1"
}

# is UNIT PROPERTY VALUE
is() {
	[[ $(property "$1" "$2") == "$3" ]] || { echo "$1: $2 is $(property "$1" "$2"), not $3" && return 1; }
}

# start UNIT: with what it said if it does not.
start() {
	systemctl start "$1" || { journalctl -q --no-pager -u "$1" && return 1; }
}

# configure NAME TYPE SOCKET
configure() {
	printf 'TYPE=%s\nSOCKET=%s\nOPTIONS=--timeout 10\n' "$2" "$3" >"/etc/vloop/$1.conf"
}

# The module is loaded by it. Its device is there when the command returns.
device_service() {
	systemd-run -q --unit=rng vloop-rng --socket-path=/run/rng.sock || return
	configure r rng /run/rng.sock
	start vloop@r && is vloop@r ActiveState active && vloop show r && gives_random /dev/hwrng
}

has_restarted() {
	is "$1" NRestarts 1 && is "$1" ActiveState active
}

killed_adapter() {
	kill -KILL "$(property vloop@r MainPID)" && await has_restarted vloop@r && gives_random /dev/hwrng
}

is_inactive() {
	is "$1" ActiveState inactive
}

# Nobody wants it back.
detached_device() {
	vloop detach --force r && await is_inactive vloop@r && is vloop@r Result success || return
	[[ ! -e $CLASS/r ]] || { echo "the device is back" && return 1; }
	start vloop@r && gives_random /dev/hwrng
}

# Trying again would not help.
wrong_type() {
	systemd-run -q --unit=wrong vloop-rng --socket-path=/run/wrong.sock || return
	configure w blk /run/wrong.sock
	! systemctl start vloop@w || { echo "a disk of random numbers" && return 1; }
	journalctl -q --no-pager -u vloop@w
	is vloop@w ActiveState failed && is vloop@w NRestarts 0 && is vloop@w ExecMainStatus 4 && systemctl stop wrong
}

stopped_device() {
	systemctl stop vloop@r && is vloop@r Result success || return
	[[ ! -e $CLASS/r ]] || { echo "the device stays" && return 1; }
	systemctl stop rng
}

# The README's second example, as it is installed.
example_service() {
	mkdir -p /etc/vloop/run /var/lib/vloop && truncate -s 1G /var/lib/vloop/disk0.img || return
	printf '%s\n' 'name "knob"' 'bits EV_REL REL_DIAL' 'event EV_REL REL_DIAL 1' sync >/var/lib/vloop/knob
	cp "$EXAMPLE" /etc/vloop/run/devices.conf
	start vloop-run@devices && is vloop-run@devices ActiveState active || return
	vloop list
	[[ $(ls $CLASS) == $'disk0\nentropy\nknob\nterminal' ]] && gives_random /dev/hwrng || return
	await test -b $DISK && grep -q '^N: Name="knob"' /proc/bus/input/devices && stty -F /dev/hvc0
}

# What was written is read from the file that the back-end serves.
serves_disk() {
	head -c 1M /dev/urandom >/tmp/data && dd if=/tmp/data of=$DISK bs=64k oflag=direct status=none &&
		cmp -n 1M /tmp/data /var/lib/vloop/disk0.img
}

killed_backend() {
	local old

	old=$(pidof vloop-blk) && serves_disk && kill -KILL "$old" && serves_disk || return
	[[ $(pidof vloop-blk) != "$old" ]] || { echo "it was not started again" && return 1; }
	is vloop-run@devices NRestarts 0
}

# As vloop-run(1) says it.
mounted_disk() {
	mkfs.ext4 -q $DISK && mkdir -p /srv/data || return
	echo "$DISK /srv/data ext4 _netdev,nofail,x-systemd.requires=vloop-run@devices.service 0 2" >>/etc/fstab
	systemctl stop vloop-run@devices && systemctl daemon-reload && start srv-data.mount || return
	mountpoint /srv/data && is vloop-run@devices ActiveState active && cp /tmp/data /srv/data/
}

# The file system is unmounted first.
stopped_example() {
	systemctl stop vloop-run@devices && is vloop-run@devices Result success || return
	[[ -z $(ls $CLASS) ]] || { ls $CLASS && return 1; }
	! mountpoint /srv/data && e2fsck -fn /var/lib/vloop/disk0.img || return
	debugfs -R "cat /data" /var/lib/vloop/disk0.img 2>/dev/null | cmp - /tmp/data || return
	! pidof vloop vloop-blk vloop-rng vloop-input vloop-console || { echo "still run" && return 1; }
	modprobe -r virtio_loopback
}

forget_tree
cp -r /results/dest/. /
ldconfig
udevadm control --reload
systemctl daemon-reload
mkdir -p /etc/vloop
check "a service has its device when it is started" device_service
check "an adapter that is killed is started again" killed_adapter
check "a service whose device is detached stays ended" detached_device
check "a service with a wrong type is not started again" wrong_type
check "a service that is stopped leaves nothing" stopped_device
check "the example's service has all four devices" example_service
check "a back-end that is killed is started again, nothing is lost" killed_backend
check "a file system is mounted when its device is there" mounted_disk
check "the example's service unmounts it, and leaves nothing" stopped_example
