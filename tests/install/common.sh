# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the tests of what is installed share; to be sourced.

# For the virtual machine: programs of the tree that was built on the host must not be what is found.
forget_tree() {
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	unset LD_LIBRARY_PATH
}

# works [COMMAND...]: from the module to the device, with what is installed. COMMAND has to succeed while
# there is a device.
works() {
	local device

	modprobe virtio_loopback && udevadm settle
	[[ $(stat -c %F:%a:%U /dev/virtio-loopback) == "character special file:600:root" ]] || return
	vloop-rng --socket-path=/tmp/rng.sock &
	until [[ -S /tmp/rng.sock ]]; do sleep 0.1; done
	device=$(vloop attach rng /tmp/rng.sock --name r --background) || return
	[[ $device == /dev/hwrng* ]] || { echo "$device" && return 1; }
	timeout 20 head -c 32 /dev/hwrng | cmp -n 32 - /dev/zero && return 1
	(($# == 0)) || "$@" || return
	vloop detach r
	kill %1
	wait
	modprobe -r virtio_loopback
}

# The example where it was installed, and what it is for at boot.
checks_example() {
	local example=/usr/local/share/doc/virtio-loopback/examples/devices.conf

	vloop run --check "$example" && [[ -f /usr/local/lib/systemd/system/vloop-run@.service ]]
}

man_pages() {
	printf '%s\n' 1/vloop 1/vloop-attach 1/vloop-rng 1/vloop-blk 1/vloop-null 1/vloop-input \
		1/vloop-console 4/virtio-loopback 3/libvloop 1/vloop-run 5/vloop.conf
}
