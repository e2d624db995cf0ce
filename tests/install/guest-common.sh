# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What those parts of the tests share that run in virtual machines; to be sourced.

# shellcheck source=tests/install/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# check WHAT COMMAND...: one test, see ../runner.sh. The command's output explains a failure.
check() {
	local what=$1 output started=$SECONDS

	shift
	echo "@start $what"
	if output=$("$@" 2>&1); then
		echo "@ok $((SECONDS - started)) s"
	else
		echo "@fail $((SECONDS - started)) s"
		printf '#   %s\n' "${output//$'\n'/$'\n'#   }"
	fi
}

# Programs of the tree that was built on the host must not be what is found.
forget_tree() {
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	unset LD_LIBRARY_PATH
}

# works [COMMAND...]: from the module to the device, with what is installed. COMMAND has to succeed while
# there is a device.
works() {
	local rng status=0 log=/tmp/rng.log

	modprobe virtio_loopback && udevadm settle || return
	[[ $(stat -c %F:%a:%U /dev/virtio-loopback) == "character special file:600:root" ]] || return
	# Its output is not ours: who reads that would wait for its end as well.
	vloop-rng --socket-path=/tmp/rng.sock >"$log" 2>&1 &
	rng=$!
	device_works "$@" || status=1
	kill "$rng"
	wait "$rng"
	((status == 0)) || { cat "$log" && return 1; }
	modprobe -r virtio_loopback
}

device_works() {
	local device status=0

	device=$(vloop attach rng /tmp/rng.sock --name r --background --wait-socket 20) || return
	if [[ $device == /dev/hwrng* ]]; then
		gives_random /dev/hwrng || status=1
		(($# == 0)) || "$@" || status=1
	else
		echo "$device"
		status=1
	fi
	vloop detach r || status=1
	return "$status"
}

# Zeros would be a pool that nobody wrote to.
gives_random() {
	timeout 20 head -c 32 "$1" >/tmp/random
	[[ $(wc -c </tmp/random) == 32 ]] || { echo "$1 gives nothing" && return 1; }
	! cmp -s -n 32 /tmp/random /dev/zero || { echo "$1 gives zeros" && return 1; }
}

# The example where it was installed, and what it is for at boot.
checks_example() {
	local example=/usr/local/share/doc/virtio-loopback/examples/devices.conf

	vloop run --check "$example" && [[ -f /usr/local/lib/systemd/system/vloop-run@.service ]]
}
