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

# follow PREFIX: makes TAP of what guest-run says. Leaves how many tests were started, the one that
# has not ended, and the machine's exit status.
follow() {
	local prefix=$1 line rest

	started=0 current="" machine_status=0
	while IFS= read -r line; do
		rest=${line#* }
		case ${line%% *} in
		@start) current=$rest started=$((started + 1)) ;;
		@ok) report ok "$prefix$current" "$rest" && current="" ;;
		@skip) report skip "$prefix$current" "$rest" && current="" ;;
		@fail) report "not ok" "$prefix$current" "$rest" && current="" ;;
		@machine) machine_status=$rest ;;
		"") ;;
		*) echo "# ${line#\# }" ;;
		esac
	done
}

# run_plan DIR PREFIX COMMAND...: runs DIR/plan in the machine that COMMAND starts, and in another
# one from the next test on where a test brings the machine down. DIR/plan is used up. The caller's
# plan_name LINE gives a test's name.
run_plan() {
	local dir=$1 prefix=$2 started current machine_status tries=$EMULATOR_TRIES boots=0 line

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
		elif ((started == 0)); then
			while IFS= read -r line; do
				report "not ok" "$prefix$(plan_name "$line")" "not reached: no machine"
			done <"$dir/plan"
			tail -n 60 "$dir/vm.log" | sed 's/^/# /'
			return
		fi
		((started == 0)) || sed -i "1,${started}d" "$dir/plan"
	done
}
