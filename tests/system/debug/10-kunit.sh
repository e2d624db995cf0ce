#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The module's KUnit tests. They have the module's parts a second time, so it is unloaded meanwhile.
# limit: 600
. "$SYSTEM/lib.sh"

wait_until "$SLOW" rmmod virtio_loopback 2>rmmod.log || fail "rmmod: $(tail -n 1 rmmod.log)"
cleanup_fn modprobe -r virtio_loopback_kunit
modprobe virtio_loopback_kunit
passed=0 planned=0
for results in /sys/kernel/debug/kunit/vlb_*/results; do
	suite=$(basename "$(dirname "$results")")
	cat "$results" >"$suite.ktap"
	if grep -E '^ *not ok ' "$suite.ktap" >failures; then
		cat "$suite.ktap"
		fail "$suite: $(paste -sd, failures)"
	fi
	passed=$((passed + $(grep -cE '^    ok ' "$suite.ktap")))
	planned=$((planned + $(sed -n 's/^    1\.\.//p' "$suite.ktap")))
done
((passed == planned && planned > 0)) || fail "of $planned KUnit tests $passed ran"
note "$passed KUnit tests passed"
