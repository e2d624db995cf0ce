#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A terminal of ours as the kernel's own console (console=hvc0, which takes a boot of its own): the
# kernel's messages arrive, and its printing survives a back-end that stops, dies and comes again,
# on two processors and on one.
# limit: 900
set -euo pipefail

repo=$(realpath "$(dirname "$0")/../../..")
out=$(realpath "${1:?a directory for logs}")

for cpus in 2 1; do
	"$repo/tests/vm/vm" run --kernel "${KERNEL:-6.12}" --module --cpus $cpus --timeout 300 \
		--append "console=hvc0 console=ttyS0" --out "$out/cpus-$cpus" \
		-- bash /src/tests/system/host/kernel-console.sh >"$out/guest-$cpus.log" 2>&1 || {
		status=$?
		echo "FAIL: the machine with $cpus processors ended with $status"
		tail -n 30 "$out/guest-$cpus.log"
		# The emulator's own fault, see vm --help: the test runs again.
		exit $((status == 97 ? 97 : 1))
	}
	echo "$cpus processors: $(tail -n 1 "$out/guest-$cpus.log")"
done
