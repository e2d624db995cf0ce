# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Messages and progress for the scripts behind the Makefile; to be sourced.

REPO=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
readonly REPO
readonly RESULTS=$REPO/results

# depmod, modprobe and others: not in the PATH of ordinary Debian users.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() {
	printf '%s\n' "$*"
}

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

duration() {
	if (($1 >= 60)); then
		printf '%d min %02d s' $(($1 / 60)) $(($1 % 60))
	else
		printf '%d s' "$1"
	fi
}

# The last line that says something, cut to fit.
last_line() {
	tail -c 2000 "$1" 2>/dev/null | tr '\r' '\n' | grep -v '^[[:space:]]*$' |
		tail -n 1 | tr -d '\000-\037' | cut -c 1-"$2" || true
}

all_alive() {
	local pid

	for pid; do
		kill -0 "$pid" 2>/dev/null || return
	done
}

# Shows that background jobs are alive, until one of them ends: watch_jobs LABEL FUNCTION
# PID..., where FUNCTION prints what they are at. A terminal gets one line that changes; a
# file gets a line now and then.
watch_jobs() {
	local label=$1 status_line=$2 started=$SECONDS next=15 at

	shift 2
	if [[ -t 1 ]]; then
		while all_alive "$@"; do
			printf '\r\033[K  %s (%s) %s' "$label" "$(duration $((SECONDS - started)))" \
				"$("$status_line" 60)"
			sleep 0.5
		done
		printf '\r\033[K'
	else
		say "  $label ..."
		while all_alive "$@"; do
			at=$((SECONDS - started))
			if ((at >= next)); then
				say "    ... $(duration $at) $("$status_line" 100)"
				((next = at + 30))
			fi
			sleep 0.5
		done
	fi
}

# Ends the jobs that run now, with all their children, when this script is ended.
JOB="" JOBS=()
readonly JOB_END_S=20
end_jobs() {
	local job tenths

	# Somebody who asks twice would keep it from being done.
	trap '' INT TERM HUP
	signal_jobs TERM || return 0
	for ((tenths = 0; tenths < JOB_END_S * 10; tenths++)); do
		signal_jobs 0 || return 0
		sleep 0.1
	done
	signal_jobs KILL || true
}

# signal_jobs SIGNAL: fails when there is none left.
signal_jobs() {
	local job left=1

	for job in "${JOBS[@]}"; do
		! kill -s "$1" -- "-$job" 2>/dev/null || left=0
	done
	return "$left"
}

# What root has made in somebody else's tree, they could not even remove.
give_back() {
	local owner built=()

	owner=$(stat -c %u:%g "$REPO")
	[[ $EUID -eq 0 && $owner != 0:* ]] || return 0
	built=("$RESULTS"* "$REPO"/build*)
	chown -hR --from=0 -- "$owner" "${built[@]}" 2>/dev/null || true
}
trap 'end_jobs; give_back' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# start_job OUT ERR COMMAND...: in a process group of its own; its id is in JOB.
# Both files may be the same: nothing is truncated after the start.
start_job() {
	local out=$1 err=$2

	shift 2
	: >"$out"
	: >"$err"
	set -m
	"$@" </dev/null >>"$out" 2>>"$err" &
	JOB=$!
	set +m
	JOBS+=("$JOB")
}

# end_of_job JOB: waits; the status is the job's.
end_of_job() {
	local status=0 job left=()

	wait "$1" || status=$?
	for job in "${JOBS[@]}"; do
		[[ $job == "$1" ]] || left+=("$job")
	done
	JOBS=("${left[@]}")
	return "$status"
}

# step LABEL COMMAND...: runs a command that takes a while, output in a log file
# that is shown when it fails.
step() {
	local label=$1 log started=$SECONDS status=0

	shift
	mkdir -p "$RESULTS/logs"
	log=$RESULTS/logs/$(tr -cs '[:alnum:]' - <<<"$label").log
	# shellcheck disable=SC2317 # watch_jobs calls it
	step_line() { last_line "$log" "$1"; }
	start_job "$log" "$log" "$@"
	watch_jobs "$label" step_line "$JOB"
	end_of_job "$JOB" || status=$?
	if ((status)); then
		tail -n 40 "$log" >&2
		die "$label: failed with status $status; the whole log: ${log#"$REPO/"}"
	fi
	say "  $label: done in $(duration $((SECONDS - started)))"
}
