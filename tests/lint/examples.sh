#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The C programs in doc/uapi.md compile, warnings being errors.

set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk -v out="$work" '
	/^```c$/ { n++; on = 1; next }
	/^```$/ { on = 0 }
	on { print > (out "/example" n ".c") }' doc/uapi.md
for source in "$work"/*.c; do
	gcc -std=gnu11 -Wall -Wextra -Werror -Iinclude/uapi -c -o "$work/o" "$source"
done
