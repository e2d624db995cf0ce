#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every option that --help shows is in the manual page, and the other way round.
# Usage: help-and-man.sh VLOOP SOURCE-DIRECTORY-OF-THE-ADAPTER
vloop=$1
source=$2
n=0

options() {
	grep -o -e '--[a-z][a-z-]*' | grep -v -x -e '--help' | sort -u
}

echo 1..7
for sub in attach detach list show stats probe run; do
	n=$((n + 1))
	page=$sub
	# list and show share a page.
	[ "$sub" = list ] && page=show
	help=$("$vloop" "$sub" --help | options)
	man=$(sed -n '/^# OPTIONS/,/^# [A-NP-Z]/p' "$source/vloop-$page.1.scd" | grep '^\*' | options)
	if [ -n "$help" ] && [ "$help" = "$man" ]; then
		echo "ok $n - $sub"
	else
		echo "not ok $n - $sub"
		echo "# --help: $(echo "$help" | tr "\n" " ")"
		echo "# manual: $(echo "$man" | tr "\n" " ")"
	fi
done
