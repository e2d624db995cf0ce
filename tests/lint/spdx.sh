#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Each file names its licence in one of its first lines, the one that LICENSE
# says for its directory. Text for people and generated formats are exempt.

set -euo pipefail
. "$(dirname "$0")/git.inc"

status=0
complain() {
	echo "$*"
	status=1
}

while read -r file; do
	case $file in
	LICENSE | LICENSES/* | *.md | *.scd | *.in | *.json | .gitignore | .clang-format) continue ;;
	kernel/man/*) continue ;;
	kernel/*) want='GPL-2.0-only' ;;
	include/uapi/*.h) want='(GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause' ;;
	*) want='BSD-3-Clause' ;;
	esac
	[[ -s $file ]] || continue
	found=$(head -n 3 "$file" | sed -nE 's|.*SPDX-License-Identifier: ([^*]*[^* ]) *(\*/)?$|\1|p')
	[[ $found == "$want" ]] || complain "$file: SPDX line says '${found:-nothing}', should be $want"
done < <(git ls-files)
for licence in GPL-2.0-only BSD-3-Clause; do
	[[ -s LICENSES/$licence.txt ]] || complain "LICENSES/$licence.txt is missing"
done
exit "$status"
