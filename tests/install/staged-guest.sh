#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The part of "staged" that runs in the virtual machine: its files come where they belong.

set -u
# shellcheck source=tests/install/common.sh
. "$(dirname "$0")/common.sh"

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

forget_tree
cp -r /results/dest/. /
ldconfig
udevadm control --reload
check "vloop is found" vloop --version
check "a device works" works
check "the example is right, and the service is there" checks_example
check "units are right, and before mounts of disks" before_mounts
