# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What is different with debug kernels, for the runners of tests; to be sourced.

is_debug() {
	[[ $1 == uml || $1 == debug ]]
}

# How many times as long things may take in this kernel.
slower() {
	if is_debug "$1"; then echo 5; else echo 1; fi
}

# report_debug NAME LOG: the last test of a run, a TAP line by the runner's report().
report_debug() {
	local name=$1 log=$2 why=""

	if [[ ! -s $log ]]; then
		why="there is no kernel log"
	elif ! grep -q 'vm: the debug checks are still on' "$log" || grep -q 'ODEBUG disabled' "$log"; then
		why="the kernel's checks are off"
	elif grep -q 'kmemleak: unreferenced' "$log"; then
		why="memory was lost"
	fi
	report "${why:+not }ok" "$name" "$why"
	[[ ! $why ]] || grep 'kmemleak: ' "$log" | head -n 60 | sed 's/^/# /' || true
}
