#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# cppcheck on user space, with the very options that it is compiled with. It
# takes quoted strings among them for undefined ones, hence the suppression.

set -euo pipefail

[[ -f build-clang/compile_commands.json ]] || CC=clang meson setup build-clang --werror >/dev/null
cppcheck --quiet --project=build-clang/compile_commands.json -j "$(nproc)" \
	--enable=warning,performance,portability --inline-suppr \
	--suppress=missingIncludeSystem --suppress=preprocessorErrorDirective \
	--error-exitcode=1
