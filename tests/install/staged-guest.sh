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

forget_tree
cp -r /results/dest/. /
ldconfig
udevadm control --reload
check "vloop is found" vloop --version
check "a device works" works
check "the example is right, and the service is there" checks_example
