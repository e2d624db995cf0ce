# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the runners of tests in virtual machines share; to be sourced. In the guest a guest-run
# works through /results/plan, a line for each test, and says how each ends:
#
#   @start NAME, then one of @ok TEXT, @skip TEXT, @fail TEXT; what else it says is for people.

# How often a test is run again that the emulator, not the kernel, brought down.
readonly EMULATOR_TRIES=3

count=0 passed=0 failed=0 skipped=0 failures=()

# report ok|skip|"not ok" NAME [TEXT]: one line of TAP.
report() {
	count=$((count + 1))
	case $1 in
	ok) passed=$((passed + 1)) && echo "ok $count - $2${3:+ # $3}" ;;
	skip) skipped=$((skipped + 1)) && echo "ok $count - $2 # SKIP ${3:-}" ;;
	*)
		failed=$((failed + 1)) && failures+=("$2")
		echo "not ok $count - $2${3:+ # $3}"
		;;
	esac
}

# The last lines of a run; its status.
report_sum() {
	local name

	for name in "${failures[@]}"; do
		echo "# failed: $name"
	done
	echo "$passed passed, $failed failed, $skipped skipped"
	((failed == 0))
}

# follow PREFIX: makes TAP of what guest-run says. Leaves how many tests were started, the last of
# them, the one that has not ended, and the machine's exit status.
follow() {
	local prefix=$1 line rest

	started=0 current="" last="" machine_status=0
	while IFS= read -r line; do
		rest=${line#* }
		case ${line%% *} in
		@start) current=$rest last=$rest started=$((started + 1)) ;;
		@ok) report ok "$prefix$current" "$rest" && current="" ;;
		@skip) report skip "$prefix$current" "$rest" && current="" ;;
		@fail) report "not ok" "$prefix$current" "$rest" && current="" ;;
		@machine) machine_status=$rest ;;
		"") ;;
		*) echo "# ${line#\# }" ;;
		esac
	done
}

# between_tests FILE: of a kernel's log what was said while no test ran that would be blamed for it.
between_tests() {
	awk '/(system-test|hostile): (ready|end)/ { on = 1 } /(system-test|hostile): begin/ { on = 0 } on' "$1"
}

# report_between DIR PREFIX LAST: a failure if the kernel complained before the first test, after
# the last look at the log, or between two tests. What a test leaves behind may show late.
report_between() {
	local dir=$1 file harmless splat patterns

	patterns=$(dirname "${BASH_SOURCE[0]}")/vm/lib/run.sh
	harmless=$(sed -n "s/^readonly SPLAT_HARMLESS='\(.*\)'\$/\1/p" "$patterns")
	splat=$(sed -n "s/^readonly SPLAT='\(.*\)'\$/\1/p" "$patterns")
	for file in "$dir/dmesg.txt" "$dir/console.txt"; do
		[[ -f $file ]] || continue
		if between_tests "$file" | grep -vE "$harmless" | grep -E -m 3 -B 3 -A 40 "$splat" >"$dir/between"; then
			report "not ok" "$2between tests" "the kernel complained, by $3 at the latest"
			head -n 120 "$dir/between" | sed 's/^/# /'
			return
		fi
	done
	rm -f "$dir/between"
}

# run_plan DIR PREFIX COMMAND...: runs DIR/plan in the machine that COMMAND starts, and in another
# one from the next test on where a test brings the machine down. DIR/plan is used up. The caller's
# plan_name LINE gives a test's name. Sets kernel_gone where all are skipped, for want of the kernel.
run_plan() {
	local dir=$1 prefix=$2 started current last machine_status tries=$EMULATOR_TRIES boots=0 line

	kernel_gone=""
	shift 2
	while [[ -s $dir/plan ]]; do
		((boots++ == 0)) || mv "$dir/dmesg.txt" "$dir/dmesg-$((boots - 1)).txt" 2>/dev/null || true
		# On a line of its own: a machine may die in the middle of one.
		follow "$prefix" < <("$@" 2>"$dir/vm.log" || printf '\n@machine %s\n' "$?")
		if ((machine_status == EXIT_EMULATOR && tries-- > 1)) && [[ $current ]]; then
			echo "# the emulator failed in $prefix$current; running it again"
			started=$((started - 1))
		elif [[ $current ]]; then
			report "not ok" "$prefix$current" "the machine died or hung in this test"
			tail -n 60 "$dir/vm.log" | sed 's/^/# /'
		elif ((started == 0 && machine_status == EXIT_GONE)); then
			while IFS= read -r line; do
				report skip "$prefix$(plan_name "$line")" "Debian's archive has no such kernel any more"
			done <"$dir/plan"
			# shellcheck disable=SC2034 # for the caller
			kernel_gone=1
			return
		elif ((started == 0)); then
			while IFS= read -r line; do
				report "not ok" "$prefix$(plan_name "$line")" "not reached: no machine"
			done <"$dir/plan"
			tail -n 60 "$dir/vm.log" | sed 's/^/# /'
			return
		elif ((machine_status != 0 && machine_status != EXIT_EMULATOR)); then
			report "not ok" "$prefix$last" "the machine died or hung after it (status $machine_status)"
			tail -n 60 "$dir/vm.log" | sed 's/^/# /'
		fi
		((started == 0)) || report_between "$dir" "$prefix" "$last"
		((started == 0)) || sed -i "1,${started}d" "$dir/plan"
	done
}
