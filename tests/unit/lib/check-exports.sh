#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The public header, the list of exported symbols, the library and the man pages name the same functions.
#   check-exports.sh SOURCE_DIR SHARED_LIBRARY
set -eu
src=$1
lib=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Declarations begin in the first column; typedefs and comments do not look like these.
grep -E '^(const char|int|void|bool|size_t|unsigned int|uint64_t|struct vloop_[a-z]+) \*?vloop_[a-z_]+\(' \
	"$src/lib/include/vloop/vloop.h" | grep -oE 'vloop_[a-z_]+\(' | tr -d '(' | sort -u >"$tmp/header"
grep -oE '^[[:space:]]vloop_[a-z_]+;' "$src/lib/libvloop.sym" | tr -d '\t;' | sort -u >"$tmp/sym"
nm -D --defined-only "$lib" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort -u >"$tmp/lib"
cat "$src"/lib/*.3.scd | grep -oE '^\*[a-z].* \\?\*?vloop_[a-z_]+\(' | grep -oE 'vloop_[a-z_]+\(' |
	tr -d "(" | sort -u >"$tmp/man"

test -s "$tmp/header"
diff "$tmp/header" "$tmp/sym"
# Sanitizers add symbols of their own.
grep '^vloop_' "$tmp/lib" | diff "$tmp/header" -
diff "$tmp/header" "$tmp/man"
