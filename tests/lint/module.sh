#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The module builds for each kernel without a warning, the optional ones of
# W=1 included.

set -euo pipefail
. "$(dirname "$0")/kernel.inc"

status=0
for kernel in "${ALL_KERNELS[@]}"; do
	module_warnings "$kernel" W=1 || { echo "^ with kernel $kernel" && status=1; }
done
exit "$status"
