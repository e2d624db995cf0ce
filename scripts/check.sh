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

# What each part is.
run_part() {
	local long=""

	# What a part may leave behind keeps nobody from the next run.
	exec {LOCK}>&-
	[[ $MODE == quick ]] || long=--long
	case $1 in
	unit) "$REPO/scripts/unit-tests.sh" ;;
	lint) "$REPO/tests/lint/run" ;;
	vm) "$REPO/tests/vm/selftest.sh" ;;
	staged) "$REPO/tests/install/staged" ;;
	install) "$REPO/tests/install/run" ;;
	system) "$REPO/tests/system/run" --group "$MODE" --out "$OUT/system" ;;
	system-*) "$REPO/tests/system/run" --group all --kernel "${1#*-}" --out "$OUT/$1" ;;
	hostile) "$REPO/tests/hostile/run" ${long:+"$long"} --out "$OUT/hostile" ;;
	hostile-*) "$REPO/tests/hostile/run" --kernel "${1#*-}" --out "$OUT/$1" ;;
	debug) "$REPO/tests/system/run" --kernel debug --all-variants --out "$OUT/debug" ;;
	uml) run_uml ;;
	esac
}

# What make check does in User Mode Linux depends on the seconds that all before took: everything, some
# twenty minutes; some of it; nothing where its kernel, five minutes, would have to be built first.
readonly ALL_UNTIL=900 BUILD_UNTIL=1500

run_uml() {
	local tests=(--all-variants) has_kernel=""

	[[ $("$REPO/tests/vm/vm" kernels) != *$'\n'"uml "* ]] || has_kernel=1
	if [[ $MODE == quick && ! $has_kernel ]] && ((SECONDS > BUILD_UNTIL)); then
		echo "ok 1 - uml # SKIP all before took $(duration "$SECONDS"); make check-debug builds its kernel"
		return
	fi
	if [[ $MODE == quick ]]; then
		tests=()
		[[ $has_kernel && $SECONDS -lt $ALL_UNTIL ]] ||
			tests=("basic/10-attach-verify vloop-blk" basic/20-rng debug/10-kunit)
	fi
	"$REPO/tests/system/run" --kernel uml --out "$OUT/uml" "${tests[@]}"
}

# start_part NAME
declare -A job_of=() started_at=()
start_part() {
	started_at[$1]=$SECONDS
	start_job "$OUT/$1.tap" "$OUT/$1.err" run_part "$1"
	job_of[$1]=$JOB
}

# What the parts that run are at, about so wide: show_running WIDTH.
show_running() {
	local name ok bad skip share=$(($1 / ${#running[@]})) between=""

	for name in "${running[@]}"; do
		read -r ok bad skip < <(counts "$OUT/$name.tap")
		printf '%s%s: ' "$between" "$name"
		between="; "
		if ((ok + bad + skip == 0)); then
			last_line "$OUT/$name.err" "$share"
			continue
		fi
		((ok == 0)) || printf '%s passed ' "$ok"
		((bad == 0)) || printf '%s failed ' "$bad"
		((skip == 0)) || printf '%s skipped ' "$skip"
		# Where there is room.
		((share < 50)) ||
			printf '(%s)' "$(grep -E '^(not )?ok ' "$OUT/$name.tap" | tail -n 1 | cut -c 1-"$share")"
	done
}

# finish_part NAME: waits for it. A part's status counts too: one that ends badly
# without saying which test failed is a failure of its own.
finish_part() {
	local name=$1 status=0 ok bad skip tap=$OUT/$1.tap err=$OUT/$1.err

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

# Waits until one of those that run has ended, and finishes it.
finish_one() {
	local name pids=() left=()

	for name in "${running[@]}"; do
		pids+=("${job_of[$name]}")
	done
	watch_jobs "${running[*]}" show_running "${pids[@]}"
	for name in "${running[@]}"; do
		if kill -0 "${job_of[$name]}" 2>/dev/null; then
			left+=("$name")
		else
			finish_part "$name"
		fi
	done
	running=("${left[@]}")
}

# run_parts COUNT NAME...: so many at a time, in this order.
running=()
run_parts() {
	local count=$1 name

	shift
	for name; do
		((${#PARTS[@]} == 0)) || [[ " ${PARTS[*]} " == *" $name "* ]] || continue
		((${#running[@]} < count)) || finish_one
		start_part "$name"
		running+=("$name")
	done
	while ((${#running[@]})); do
		finish_one
	done
}

mkdir -p "$RESULTS"
exec {LOCK}>"$RESULTS/lock"
flock -n "$LOCK" || die "tests are running in this tree already; they would write to the same files"
rm -rf "$OUT"
mkdir -p "$OUT"
say "Logs are in results/check; a part with nothing to say is silent."
"$REPO/scripts/build.sh" || exit

# Many of the tests wait for a bound to pass: two virtual machines at a time. Who comes first
# prepares what several need.
case $MODE in
quick)
	run_parts 1 unit lint
	run_parts 2 system staged hostile uml
	;;
long)
	run_parts 1 unit lint vm staged
	run_parts 2 debug system hostile system-6.1 system-7.2 hostile-6.1 hostile-7.2 install uml
	;;
debug) run_parts 1 uml ;;
esac

for name in "${PARTS[@]}"; do
	[[ ${job_of[$name]:-} ]] && continue
	say "there is no part $name in $MODE"
	((++failed))
done
say "all parts in $(duration "$SECONDS")"
say "$passed passed, $failed failed, $skipped skipped" | tee "$OUT/summary"
((failed == 0 && passed > 0))
