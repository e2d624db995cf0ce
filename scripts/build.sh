#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# build.sh [DIR [MESON OPTION...]]: builds user space, by default into build/,
# which is where the virtual machine looks for programs.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

dir=$REPO/${1:-build}
[[ $# -eq 0 ]] || shift

build() {
	local lock

	# Ninja has none: of two at a time, both would write the same files.
	exec {lock}>"$RESULTS/build.lock"
	flock "$lock"
	[[ -f $dir/build.ninja ]] || meson setup "$dir" "$REPO" "$@"
	meson compile -C "$dir"
}

step "building user space (${dir##*/})" build "$@"
