#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# sparse on the module: address spaces, byte orders, lock balance.

set -euo pipefail
. "$(dirname "$0")/kernel.inc"

module_warnings "$LINT_KERNEL" C=2
