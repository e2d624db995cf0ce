#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Every script passes shellcheck; scripts are found by name or by first line.

set -euo pipefail
. "$(dirname "$0")/git.inc"

mapfile -t scripts < <(
	git ls-files | while read -r file; do
		[[ -f $file && ! -L $file ]] || continue
		read -r first <"$file" || true
		# Bytes that are no text are not compared.
		case $file:${first:-} in
		*.bash-completion:*) continue ;;
		*.sh:* | *:'#!/bin/bash'* | *:'#!/bin/sh'* | *:'#!/usr/bin/env bash'*) echo "$file" ;;
		esac
	done 2>/dev/null
)
# tests/system/lib.sh is sourced through a variable, from one directory below.
shellcheck -x -P SCRIPTDIR -P SCRIPTDIR/.. "${scripts[@]}"
