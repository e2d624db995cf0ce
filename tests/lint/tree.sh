#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Nothing in the tree depends on one developer's machine, nothing is put off
# in a comment, nothing that was built is tracked.

set -euo pipefail
. "$(dirname "$0")/git.inc"

status=0

# forbid WHAT PATTERN [PATHSPEC...]
forbid() {
	local what=$1 pattern=$2 found=0

	shift 2
	git grep -nIE -e "$pattern" -- "$@" ':!tests/lint/tree.sh' || found=$?
	case $found in
	0) echo "^ $what" && status=1 ;;
	1) ;;
	*) echo "git grep ended with $found, looking for: $what" && status=1 ;;
	esac
}

# Hosts of this machine's package sources that are not Debian's own.
mirrors() {
	grep -rhoE 'https?://[^/[:space:]]+' /etc/apt/sources.list /etc/apt/sources.list.d \
		/etc/pip.conf 2>/dev/null | sed -E 's|^https?://([^@]*@)?||' |
		grep -vE '(^|\.)debian\.org$' | sort -u
}

forbid 'a path of one machine' '(^|[^[:alnum:].])/(work|home/[a-z][a-z0-9]*|Users)/[[:alnum:]]' .
while read -r host; do
	forbid "a host that only this machine knows" "https?://([^@/]*@)?${host//./\\.}([:/]|\$)" .
done < <(mirrors)
forbid 'do it, or open an issue' '\b(TODO|FIXME|XXX|HACK)\b' .
forbid 'left over from a merge' '^(<<<<<<<|>>>>>>>) ' .
forbid 'space at the end of a line' '[[:blank:]]+$' ':!*.md' ':!*.patch' ':!*.scd'
while read -r file; do
	echo "$file: built files are not for git"
	status=1
done < <(git ls-files '*.o' '*.ko' '*.a' '*.so' '*.mod.c' '*.squashfs')
exit "$status"
