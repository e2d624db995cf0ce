#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds user space with AddressSanitizer and UndefinedBehaviorSanitizer, and
# runs the unit tests. TAP on standard output, everything else on the other.

set -uo pipefail

cd "$(dirname "$0")/.." || exit
readonly DIR=build-asan
readonly LOG=$DIR/meson-logs/testlog.json

[[ -f $DIR/build.ninja ]] ||
	meson setup "$DIR" -Dtests=enabled -Db_sanitize=address,undefined -Db_lundef=false >&2 || exit
meson compile -C "$DIR" >&2 || exit

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
# Of programs that leave the choice to cmocka.
export CMOCKA_MESSAGE_OUTPUT=TAP
# An earlier run's would be counted if this one cannot start.
rm -f "$LOG"
status=0
meson test -C "$DIR" --no-rebuild --timeout-multiplier 4 --num-processes "$(nproc)" >&2 || status=$?
[[ -f $LOG ]] || { echo "meson test ended with status $status before any test" >&2 && exit 1; }
# Its own status too: it may have been ended early, with tests that all passed.
scripts/meson-tap.py "$LOG" && exit "$status"
