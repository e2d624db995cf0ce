#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# User space and its tests build with clang, warnings being errors. (The
# ordinary build does the same with gcc.)

set -euo pipefail

if [[ ! -f build-clang/build.ninja ]]; then
	rm -rf build-clang
	CC=clang meson setup build-clang --werror >/dev/null
fi
meson compile -C build-clang >build-clang/log 2>&1 || { tail -n 60 build-clang/log && exit 1; }
