#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The kernel's style checker on the module and its interface.

set -euo pipefail
. "$(dirname "$0")/kernel.inc"

# Not on: CONSTANT_COMPARISON and MACRO_ARG_UNUSED, which take the version tests
# of compat.h for something else, and the LINUX_VERSION_CODE one, since the
# module is for several kernels.
ensure_checkpatch
status=0
found=$(perl "$CHECKPATCH/checkpatch.pl" --no-tree --no-summary --terse --quiet --show-types \
	--max-line-length=100 --ignore CONSTANT_COMPARISON,MACRO_ARG_UNUSED,LINUX_VERSION_CODE \
	-f kernel/*.[ch] kernel/kunit/*.[ch] include/uapi/linux/*.h) || status=$?
if [[ $found ]] || ((status)); then
	echo "${found:-checkpatch.pl ended with status $status}"
	exit 1
fi
