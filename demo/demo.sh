#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Prepares the demonstration on the host and runs it in the virtual machine:
# loading a module into the user's own kernel is for "make install".

set -euo pipefail
. "$(dirname "$0")/../scripts/lib.sh"

readonly KERNEL=6.12
started=$SECONDS

say "Preparing. The first run fetches a kernel and a user land; later runs take them from a cache."
"$REPO/scripts/build.sh"
step "virtual machine and kernel $KERNEL" "$REPO/tests/vm/vm" prepare "$KERNEL"
step "building the kernel module" "$REPO/tests/vm/vm" build-module "$KERNEL"
say "  booting"
prepared=$SECONDS
"$REPO/tests/vm/vm" run --kernel "$KERNEL" --module --timeout 1800 \
	--out "$RESULTS/demo" -- /src/demo/guest.sh
say "Prepared in $(duration $((prepared - started))), ran in $(duration $((SECONDS - prepared))). Kernel log: results/demo/dmesg.txt"
