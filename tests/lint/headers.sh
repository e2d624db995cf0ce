#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A header compiles as the first and only thing in a file, with what its layer
# may include; public ones also in C++, with both compilers, with every warning.

set -euo pipefail

status=0

# compiles INCLUDES COMPILER LANGUAGE STANDARD HEADER
compiles() {
	local includes=$1 compiler=$2 language=$3 standard=$4 header=$5

	# shellcheck disable=SC2086
	if ! printf '#include "%s"\n' "$PWD/$header" |
		"$compiler" -x "$language" -std="$standard" -fsyntax-only \
			-Wall -Wextra -Werror $includes -; then
		echo "^ $header as $language ($standard) with $compiler"
		status=1
	fi
}

public=(include/uapi/linux/virtio_loopback.h lib/include/vloop/*.h)
for header in "${public[@]}"; do
	for compiler in gcc clang; do
		compiles "-Ilib/include -Wpedantic" "$compiler" c c99 "$header"
		compiles "-Ilib/include -Wpedantic" "$compiler" c gnu17 "$header"
	done
	for compiler in g++ clang++; do
		compiles "-Ilib/include" "$compiler" c++ c++11 "$header"
	done
done

declare -A layers=(
	[common]=""
	[proto]="-Icommon"
	[lib]="-Ilib/include -Iproto -Icommon"
	[adapter]="-Iinclude/uapi -Iproto -Icommon"
)
for layer in "${!layers[@]}"; do
	for header in "$layer"/*.h; do
		[[ -f $header ]] || continue
		compiles "-D_GNU_SOURCE -I$layer ${layers[$layer]}" gcc c gnu11 "$header"
	done
done
exit "$status"
