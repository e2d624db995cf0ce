#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds user space with AddressSanitizer and UndefinedBehaviorSanitizer, and
# runs the unit tests. TAP on standard output, everything else on the other.

set -uo pipefail

cd "$(dirname "$0")/.." || exit
readonly DIR=build-asan

[[ -f $DIR/build.ninja ]] ||
	meson setup "$DIR" -Dtests=enabled -Db_sanitize=address,undefined -Db_lundef=false >&2 || exit
meson compile -C "$DIR" >&2 || exit

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
# Of programs that leave the choice to cmocka.
export CMOCKA_MESSAGE_OUTPUT=TAP
meson test -C "$DIR" --no-rebuild --timeout-multiplier 4 --num-processes "$(nproc)" >&2
scripts/meson-tap.py "$DIR/meson-logs/testlog.json"
