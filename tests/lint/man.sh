#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Every program has a man page, and every option that --help shows is in it.

set -euo pipefail
. "$(dirname "$0")/git.inc"

[[ -x build/adapter/vloop ]] || { echo "user space is not built" && exit 77; }
export LD_LIBRARY_PATH=$PWD/build/lib
status=0

# pages PROGRAM: the sources of its man pages; vloop has one for each subcommand.
pages() {
	case $1 in
	vloop) git ls-files 'adapter/*.1.scd' ;;
	*) git ls-files "*/$1.1.scd" ;;
	esac
}

options() {
	grep -oE -- '(^|[[:space:]])--[a-z][a-z-]+' | tr -d '[:blank:]' | sort -u
}

# documented PROGRAM HELP: the options of a help text against the man pages.
documented() {
	local option
	local -a sources

	mapfile -t sources < <(pages "$1")
	if ((${#sources[@]} == 0)); then
		echo "$1 has no man page"
		status=1
		return
	fi
	while read -r option; do
		grep -qE -- "$option([^a-z-]|\$)" "${sources[@]}" || {
			echo "$1: $option is in --help, but not in ${sources[*]}"
			status=1
		}
	done < <(options <<<"$2")
}

help=$(build/adapter/vloop --help)
while read -r subcommand; do
	[[ $subcommand == vloop ]] ||
		help+=$'\n'$(build/adapter/vloop "$subcommand" --help)
done < <(sed -nE 's/^  ([a-z]+) .*/\1/p' <<<"$help")
documented vloop "$help"
for program in build/devices/*/vloop-*; do
	[[ -x $program && ! -d $program ]] || continue
	documented "${program##*/}" "$("$program" --help)"
done
for other in virtio-loopback.4 libvloop.3 vloop.conf.5; do
	[[ $(git ls-files "*/$other.scd") ]] || { echo "$other is missing" && status=1; }
done
exit "$status"
