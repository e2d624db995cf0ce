#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# check.sh quick|long|debug [PART...]: runs all tests, or those in debug kernels, and adds them up.
# Every part prints TAP; results/check has what each one said. The last line is the sum. With PART,
# names as in what it prints, only these.

set -uo pipefail
. "$(dirname "$0")/lib.sh"

readonly MODE=${1:?quick, long or debug}
readonly PARTS=("${@:2}")
readonly OUT=$RESULTS/check
passed=0 failed=0 skipped=0

# counts FILE: passed, failed and skipped tests in a TAP file, maybe half written.
counts() {
	awk '
		/^ok / { if (toupper($0) ~ /# *SKIP/) skipped++; else passed++ }
		/^not ok / { failed++ }
		END { print passed + 0, failed + 0, skipped + 0 }' "$1"
}

# The tests that failed, with the explanation that follows each.
show_failures() {
	awk '
		/^not ok / { failing = 1; print "  " $0; lines = 0; next }
		/^(ok |1\.\.|[0-9]+ passed)/ { failing = 0 }
		failing && lines++ < 30 { print "    " $0 }' "$1"
}

# start_part NAME COMMAND...
declare -A job_of=() started_at=()
start_part() {
	local name=$1

	((${#PARTS[@]} == 0)) || [[ " ${PARTS[*]} " == *" $name "* ]] || return 0
	shift
	started_at[$name]=$SECONDS
	start_job "$OUT/$name.tap" "$OUT/$name.err" "$@"
	job_of[$name]=$JOB
}

# finish_part NAME: waits for it. A part's status counts too: one that ends badly
# without saying which test failed is a failure of its own.
finish_part() {
	local name=$1 status=0 ok bad skip tap=$OUT/$1.tap err=$OUT/$1.err

	[[ ${job_of[$name]:-} ]] || return 0
	# shellcheck disable=SC2317 # watch_job calls it
	part_line() {
		local ok bad skip

		read -r ok bad skip < <(counts "$tap")
		((ok + bad + skip)) || { last_line "$err" "$1" && return; }
		printf '%s passed, %s failed, %s skipped; %s' "$ok" "$bad" "$skip" \
			"$(grep -E '^(not )?ok ' "$tap" | tail -n 1 | cut -c 1-"$1")"
	}
	watch_job "${job_of[$name]}" "$name" part_line
	end_of_job "${job_of[$name]}" || status=$?
	read -r ok bad skip < <(counts "$tap")
	if ((bad == 0 && (status != 0 || ok + skip == 0))); then
		echo "not ok - $name ended with status $status, after $ok tests" >>"$tap"
		tail -n 20 "$err" | sed 's/^/# /' >>"$tap"
		bad=1
	fi
	say "$name: $ok passed, $bad failed, $skip skipped in $(duration $((SECONDS - started_at[$name])))"
	show_failures "$tap"
	((passed += ok, failed += bad, skipped += skip))
}

part() {
	start_part "$@"
	finish_part "$1"
}

rm -rf "$OUT"
mkdir -p "$OUT"
say "Logs are in results/check; a part with nothing to say is silent."
"$REPO/scripts/build.sh" || exit

# uml TEST...: in User Mode Linux; everything takes several times as long there.
uml() {
	part uml "$REPO/tests/system/run" --kernel uml --out "$OUT/uml" "$@"
}

if [[ $MODE != debug ]]; then
	part unit "$REPO/scripts/unit-tests.sh"
	part lint "$REPO/tests/lint/run"
fi
if [[ $MODE == debug ]]; then
	uml basic/ debug/
elif [[ $MODE == quick ]]; then
	# Many of the tests wait for a bound to pass: two virtual machines at a time. Who comes
	# first prepares what both need; the install test has user lands of its own.
	start_part system "$REPO/tests/system/run" --group quick --out "$OUT/system"
	part install "$REPO/tests/install/run"
	part hostile "$REPO/tests/hostile/run" --out "$OUT/hostile"
	# To build it would take longer than all the rest may.
	if [[ $("$REPO/tests/vm/vm" kernels) == *$'\n'"uml "* ]]; then
		uml basic/ debug/10-kunit
	else
		part uml echo "ok 1 - uml # SKIP its kernel is not built; make check-debug builds it and runs these"
	fi
	finish_part system
else
	# As long as some of the others together.
	start_part debug "$REPO/tests/system/run" --kernel debug --out "$OUT/debug"
	part install "$REPO/tests/install/run"
	part vm "$REPO/tests/vm/selftest.sh"
	part system "$REPO/tests/system/run" --group all --out "$OUT/system"
	part hostile "$REPO/tests/hostile/run" --long --out "$OUT/hostile"
	# Their drivers are others, and so is what a back-end can do to them.
	for kernel in 6.1 7.2; do
		part "hostile-$kernel" "$REPO/tests/hostile/run" --kernel "$kernel" \
			--out "$OUT/hostile-$kernel"
	done
	uml basic/ debug/
	finish_part debug
fi

for name in "${PARTS[@]}"; do
	[[ ${job_of[$name]:-} ]] && continue
	say "there is no part $name in $MODE"
	((++failed))
done
say "all parts in $(duration "$SECONDS")"
say "$passed passed, $failed failed, $skipped skipped" | tee "$OUT/summary"
((failed == 0 && passed > 0))
