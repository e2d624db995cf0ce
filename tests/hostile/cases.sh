#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck disable=SC2317
#
# One hostile case: what is done, and how the kernel and the adapter have to take it. Runs in the
# guest; with LIST=1 it prints the names of all cases instead.

REQUESTS=(GET_FEATURES GET_PROTOCOL_FEATURES GET_QUEUE_NUM SET_OWNER SET_BACKEND_REQ_FD GET_CONFIG
	SET_FEATURES SET_MEM_TABLE SET_VRING_NUM SET_VRING_BASE SET_VRING_ADDR SET_VRING_ERR
	SET_VRING_CALL SET_VRING_KICK SET_VRING_ENABLE)

CASES=(honest
	id-range id-max id-free id-twice idx-far idx-one idx-back
	len-long len-max len-zero used-flags avail-event status-none
	late-write scribble-tables scribble-all
	call-storm call-stale pool-stale fd-order handoff
	hang hang-plain stuck stuck-message starved
	config-flood channel-garbage unasked
	reply-none reply-twice reply-close reply-version reply-flags reply-request reply-short
	reply-long reply-huge reply-half reply-fds reply-value reply-base
	config-size config-random features-change
	capacity-zero capacity-max capacity-shrink queues-zero queues-many
	fuzz-blk fuzz-console fuzz-input fuzz-rng fuzz-net fuzz-scsi fuzz-all
	attack-status-removed attack-create-detach attack-removed-threads attack-storm
	attack-input-silent attack-console-resize attack-many-silent attack-net-control attack-config-huge
	attack-console-control attack-console-ports attack-net-receive attack-net-announce attack-net-hidden
	attack-blk-cache attack-config-log attack-config-short attack-net-announce-cut)

if [[ ${LIST:-} ]]; then
	printf '%s\n' "${CASES[@]}"
	exit
fi

# shellcheck source=tests/system/lib.sh
. "$SYSTEM/lib.sh"

# A load that has to end by itself may take this long.
readonly IO_LIMIT=$((60 * SLOWER))

# start_liar NAME LIE [OPTION...]
start_liar() {
	local name=$1 lie=$2

	shift 2
	rm -f "$T/$name.sock"
	liar --socket-path="$T/$name.sock" --lie "$lie" "$@" >>"$T/$name.log" 2>&1 &
	SERVER["$name"]=$!
	await_server "$name"
}

# end NAME [OPTION...]: detach; how the adapter ends is not looked at.
end() {
	local name=$1

	timeout -k 5 $((SLOW + 30)) vloop detach "$@" || fail "vloop detach $* ended with $?"
	[[ ! -e $CLASS/$name ]] || fail "$name is still there after its detach"
	ends "${ADAPTER[$name]}" "adapter of $name" || true
}

# Data that goes to the disk comes back.
check_data() {
	local disk=$1

	head -c 2M /dev/urandom >"$T/pattern"
	timeout -k 5 $IO_LIMIT dd if="$T/pattern" of="$disk" bs=64k oflag=direct status=none ||
		fail "writing to $disk ended with $?"
	timeout -k 5 $IO_LIMIT dd if="$disk" of="$T/back" bs=64k count=32 iflag=direct status=none ||
		fail "reading from $disk ended with $?"
	cmp "$T/pattern" "$T/back" || fail "other data came back from $disk"
}

# Many requests, one at a time; the exit status is that of dd, or 124: no end.
write_small() {
	timeout -k 5 $IO_LIMIT dd if=/dev/zero of="$1" bs=4k count="${2:-2000}" oflag=direct \
		status=none 2>>"$T/dd.log"
}

# write_until_error DISK: it has to come in time.
write_until_error() {
	local status=0

	write_small "$1" || status=$?
	((status == 1)) || fail "writing to $1 ended with $status, and not with an I/O error"
	grep -q "Input/output error" "$T/dd.log" || fail "dd did not say 'Input/output error'"
}

kernel_says() {
	dmesg | grep -E "virtio-loopback.*$1" >/dev/null
}

# After whatever was done to the kernel, the next device works.
honest() {
	start_liar honest none
	attach honest blk
	check_data "$(dev honest)"
	detach honest
}

# --- what the used ring says

breaks() {
	start_liar l "$1" --after 50 "${@:3}"
	attach l blk
	write_until_error "$(dev l)"
	wait_state l broken
	kernel_says "l: queue 0: back-end $2.*device is broken" || fail "no line in the kernel's log"
	end l
}

# breaks_both LIE REGEX: with indirect descriptors, and with chains in the ring.
breaks_both() {
	breaks "$1" "$2"
	kill_server l
	breaks "$1" "$2" --no-indirect --no-event-idx
}

tolerated() {
	start_liar l "$1" --after 50 "${@:2}"
	attach l blk
	write_small "$(dev l)" 100 || fail "writing ended with $?"
	check_data "$(dev l)"
	state_is l running || fail "the device is $(<"$CLASS/l/state")"
}

clamped() {
	tolerated "$1"
	(($(counter l clamped) > 0)) || fail "no length was clamped"
	detach l
}

case_id-range() { breaks_both id-range "completed an id out of range"; }
case_id-max() { breaks_both id-max "completed an id out of range"; }
case_id-free() { breaks_both id-free "completed a request that it does not have"; }
case_id-twice() { breaks_both id-twice "completed a request that it does not have"; }
case_idx-far() { breaks_both idx-far "moved its used index too far"; }
case_idx-one() { breaks_both idx-one "completed a request that it does not have"; }
case_idx-back() { breaks_both idx-back "moved its used index too far"; }
case_len-long() { clamped len-long; }
case_len-max() { clamped len-max; }
case_len-zero() { tolerated len-zero && detach l; }

case_used-flags() {
	tolerated used-flags
	detach l
	kill_server l
	tolerated used-flags --no-event-idx
	detach l
}

case_avail-event() { tolerated avail-event && detach l; }

# A request without a status has failed, and the device goes on.
case_status-none() {
	start_liar l status-none --after 50
	attach l blk
	write_until_error "$(dev l)"
	state_is l running || fail "the device is $(<"$CLASS/l/state")"
	end l
}

# --- the pool

# A reader has its data, in the memory that the driver was given for them, when the back-end
# changes its mind: dd waits with its buffer for the pipe's other end.
case_late-write() {
	local before

	start_liar l late-write --after 10
	attach l blk
	check_data "$(dev l)"
	wait_until "$SLOW" changed 1 || fail "nothing is changed late"
	before=$(changes)
	timeout -k 5 "$SLOW" dd if="$(dev l)" bs=1M count=1 iflag=direct status=none |
		(wait_until "$IO_LIMIT" changed $((before + 1)) && cat >"$T/late") ||
		fail "reading ended with $?"
	(($(stat -c %s "$T/late") == 1048576)) || fail "the reader got too little"
	cmp -n 1048576 "$T/late" "$T/pattern" || fail "the reader's memory was changed"
	detach l
}

# How often a request was changed that had been over for a while.
changes() {
	grep -c "changed a request that is over" "$T/l.log" || true
}

changed() {
	(($(changes) >= $1))
}

# Whatever becomes of the requests: the load ends when the device goes.
scribbled() {
	start_liar l "$1" --after 200 "${@:2}"
	attach l blk --timeout 5
	load_start "$(dev l)" --iodepth=32 --size=16m --continue_on_error=all --verify=
	sleep "$(pick 5 30)"
	end l --force
	wait_until "$SLOW" gone "$LOAD" || fail "the load does not end with its device"
	kill_server l
}

case_scribble-tables() {
	scribbled scribble-tables
	scribbled scribble-tables --no-indirect --no-event-idx
}

case_scribble-all() {
	scribbled scribble-all
	scribbled scribble-all --no-indirect --queues 4
}

# --- descriptors and processes

case_call-storm() {
	start_liar l call-storm --after 50 --queues 2
	attach l blk
	write_small "$(dev l)" 100 || fail "writing ended with $?"
	check_data "$(dev l)"
	end l
}

# The load does not see that there is another connection.
reconnects() {
	start_liar l "$1" --after 60 --queues 2
	attach l blk
	verify "$(dev l)" --iodepth=16 --bsrange=512-256k
	(($(<"$CLASS/l/sessions") > 1)) || fail "there was no second session"
	check_counters l
	detach l
}

case_call-stale() { reconnects call-stale; }
case_pool-stale() { reconnects pool-stale; }
case_fd-order() { reconnects fd-order; }

case_handoff() {
	start_liar l handoff --after 60 --file "$T/disk"
	attach l blk
	(
		trap - EXIT
		verify "$(dev l)" --iodepth=16 --bsrange=512-256k
	) &
	LOAD=$!
	wait_until "$SLOW" gone "${SERVER[l]}" || fail "the liar does not leave"
	start_liar l none --file "$T/disk"
	wait_until 240 gone "$LOAD" || fail "the load does not end"
	wait "$LOAD" || fail "an I/O error or wrong data"
	pgrep -x liar | grep -qvx "${SERVER[l]}" || fail "there is no child of the liar"
	detach l
	! rmmod virtio_loopback 2>/dev/null || fail "the module goes while a call descriptor is open"
}

# The driver's requests end when the device is taken away by force.
case_hang() {
	start_liar l hang --after 100
	attach l blk --timeout 5
	write_small "$(dev l)" & LOAD=$!
	wait_until "$SLOW" in_flight l || fail "no request hangs"
	end l --force
	wait_until "$SLOW" gone "$LOAD" || fail "dd does not end"
}

in_flight() {
	(($(<"$CLASS/$1/in_flight") > 0 && $(counter "$1" completed) >= 100))
}

# ... and without force when the time is over.
case_hang-plain() {
	start_liar l hang --after 100
	attach l blk --timeout 5
	write_small "$(dev l)" & LOAD=$!
	wait_until "$SLOW" in_flight l || fail "no request hangs"
	end l
	wait_until "$SLOW" gone "$LOAD" || fail "dd does not end"
}

# One that may run for a fiftieth of the time, most of which its calls take: what waits for the end of a
# call does not wait for all that it found to do.
case_starved() {
	local group=/sys/fs/cgroup/starved tracing=/sys/kernel/tracing late

	grep -qw cpu /sys/fs/cgroup/cgroup.controllers || skip "this kernel has no limits on processor time"
	echo +cpu >/sys/fs/cgroup/cgroup.subtree_control
	mkdir "$group"
	echo "20000 1000000" >"$group/cpu.max"
	rm -f "$T/l.sock"
	vloop-blk --socket-path="$T/l.sock" --null >>"$T/l.log" 2>&1 &
	SERVER[l]=$!
	await_server l
	attach l blk --pool 256M
	# Some writes: fio takes reads of no bytes, all that a removed disk has, for short ones, for ever.
	fio --name=load --filename="$(dev l)" --direct=1 --ioengine=io_uring --rw=randrw \
		--rwmixread=90 --bs=1m --iodepth=128 --time_based --runtime=1000 \
		--output="$T/fio.log" 2>"$T/fio.err" &
	LOAD=$!
	wait_busy l
	echo "${SERVER[l]}" >"$group/cgroup.procs"
	sleep "$(pick 5 30)"
	echo >$tracing/trace
	echo 1 >$tracing/events/virtio_loopback/enable
	end l --force --timeout "$SLOW"
	echo 0 >$tracing/events/virtio_loopback/enable
	wait_until "$SLOW" gone "$LOAD" || fail "the load does not end with its device"
	grep -q 'vlb_state: l: removing' $tracing/trace || fail "the removal is not in the trace"
	late=$(sed '1,/vlb_state: l: removing/d' $tracing/trace | grep -c '^ *queue-.*vlb_complete' || true)
	((late <= 8)) || fail "the back-end completed $late requests while the removal waited"
	echo "${SERVER[l]}" >/sys/fs/cgroup/cgroup.procs
	kill_server l
	rmdir "$group"
}

case_stuck() {
	start_liar l stuck --after 100
	attach l blk --timeout 5
	write_small "$(dev l)" & LOAD=$!
	wait_until "$SLOW" in_flight l || fail "no request hangs"
	end l
	wait_until "$SLOW" gone "$LOAD" || fail "dd does not end"
}

# A back-end that is stopped, and does not answer the first message of all.
case_stuck-message() {
	local status=0

	start_liar l none
	kill -STOP "${SERVER[l]}"
	timeout "$SLOW" vloop attach blk "$T/l.sock" --timeout 2 2>"$T/l.err" || status=$?
	((status == 3)) || fail "vloop attach ended with $status"
	grep -q "did not answer GET_FEATURES" "$T/l.err" || fail "no clear message"
}

# --- the sockets

case_config-flood() {
	start_liar l config-flood --after 50
	attach l blk
	check_data "$(dev l)"
	end l
}

recovers() {
	start_liar l "$1" --after 60
	attach l blk
	verify "$(dev l)" --iodepth=8 --bsrange=512-64k --size=8m
	grep -qE "$2" "$T/l.err" || fail "no clear message"
	detach l
}

case_channel-garbage() { recovers channel-garbage "back-end .*: "; }
case_unasked() { recovers unasked "a message that nobody asked for"; }

# refused NAME LIE REQUEST: the adapter ends by itself, with a message and without a device.
refused() {
	local status=0

	start_liar "$1" "$2" --message "$3"
	timeout -k 5 "$SLOW" vloop attach blk "$T/$1.sock" --name "$1" --timeout 2 \
		--on-disconnect remove >"$T/$1.out" 2>"$T/$1.err" || status=$?
	kill_server "$1"
	((status != 0 && status < 100)) || fail "$2 $3: vloop attach ended with $status"
	[[ -s $T/$1.err ]] || fail "$2 $3: no message"
	[[ ! -e $CLASS/$1 ]] || fail "$2 $3: the device stays"
	echo "$2 $3: $status, $(head -n 1 "$T/$1.err")"
}

all_refused() {
	local request pids=() pid i

	for ((i = 0; i < ${#REQUESTS[@]}; i++)); do
		request=${REQUESTS[i]}
		# What it says can be true.
		[[ $1 != reply-value || $request == SET_* ]] || continue
		(
			trap - EXIT
			refused "r$i" "$1" "$request"
		) &
		pids+=("$!")
		((${#pids[@]} % 4)) || wait "${pids[-4]}" || fail "see above"
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || fail "see above"
	done
}

# any NAME LIE [OPTION...]: whatever comes of it has an end.
any() {
	local name=$1 pid

	start_liar "$name" "${@:2}"
	timeout -k 5 "$SLOW" vloop attach blk "$T/$name.sock" --name "$name" --timeout 2 \
		--on-disconnect remove --device-timeout 5 >"$T/$name.out" 2>"$T/$name.err" &
	pid=$!
	wait_until "$SLOW" settled "$name" "$pid" || fail "$*: vloop attach neither works nor ends"
	if [[ -s $T/$name.out ]]; then
		timeout 20 dd if="$(dev "$name")" of=/dev/null bs=4k count=64 iflag=direct \
			status=none 2>>"$T/dd.log" || true
	fi
	timeout "$SLOW" vloop detach --force "$name" 2>/dev/null || true
	wait_until "$SLOW" gone "$pid" || fail "$*: vloop attach does not end"
	[[ ! -e $CLASS/$name ]] || fail "$*: the device stays"
	kill_server "$name"
	rm -f "$T/$name.out"
}

settled() {
	[[ -s $T/$1.out ]] || gone "$2"
}

case_reply-none() { all_refused reply-none; }
case_reply-twice() { all_refused reply-twice; }
case_reply-close() { all_refused reply-close; }
case_reply-version() { all_refused reply-version; }
case_reply-flags() { all_refused reply-flags; }
case_reply-request() { all_refused reply-request; }
case_reply-short() { all_refused reply-short; }
case_reply-long() { all_refused reply-long; }
case_reply-huge() { all_refused reply-huge; }
case_reply-half() { all_refused reply-half; }
case_reply-fds() { all_refused reply-fds; }

case_reply-value() {
	local request

	all_refused reply-value
	for request in GET_FEATURES GET_PROTOCOL_FEATURES GET_QUEUE_NUM GET_CONFIG; do
		any v reply-value --message "$request"
	done
}

# The last message, at a detach: the device goes all the same.
case_reply-base() {
	local lie

	for lie in none twice close version flags request short long huge half fds value; do
		start_liar l "reply-$lie" --message GET_VRING_BASE
		attach l blk --timeout 3
		end l
		kill_server l
	done
}

# --- what it says about itself

case_config-size() {
	local status=0

	start_liar l config-size
	timeout "$SLOW" vloop attach blk "$T/l.sock" --name l 2>"$T/l.err" || status=$?
	((status == 3 || status == 4)) || fail "vloop attach ended with $status"
}

case_config-random() {
	local i

	for ((i = 0; i < $(pick 5 60); i++)); do
		any l config-random --seed $((SEED * 1000 + i))
	done
}

case_features-change() {
	recovers features-change "it lacks features"
}

case_capacity-zero() { any l capacity-zero; }
case_capacity-max() { any l capacity-max; }

shrunk() {
	[[ $(blockdev --getsize64 "$(dev l)") == 512 ]]
}

case_capacity-shrink() {
	start_liar l capacity-shrink --after 100
	attach l blk
	write_small "$(dev l)" || true
	wait_until "$SLOW" shrunk || fail "the disk keeps its size"
	end l
}

case_queues-zero() { any l queues-zero; }
case_queues-many() { any l queues-many; }

# --- callers that do not follow the rules

case_honest() { :; }

# fuzz [TYPE...]: random calls, for devices of these types.
fuzz() {
	timeout -k 5 "$(($(pick 280 1280) * SLOWER))" ioctl-fuzz --seed "$SEED" --rounds "$(pick 6 60)" \
		"${@/#/--type=}" || fail "ioctl-fuzz: $?"
}

case_fuzz-blk() { fuzz 2; }
case_fuzz-console() { fuzz 3; }
case_fuzz-input() { fuzz 18; }
case_fuzz-rng() { fuzz 4; }
case_fuzz-net() { fuzz 1; }
case_fuzz-scsi() { fuzz 8; }
case_fuzz-all() { fuzz; }

attack_() {
	timeout -k 5 200 attack "$1" || fail "attack $1: $?"
}

case_attack-status-removed() { attack_ status-removed; }
case_attack-create-detach() { attack_ create-detach; }
case_attack-removed-threads() { attack_ removed-threads; }
case_attack-storm() { attack_ storm; }
case_attack-input-silent() { attack_ input-silent; }
case_attack-console-resize() { attack_ console-resize; }
case_attack-many-silent() { attack_ many-silent; }
case_attack-net-control() { attack_ net-control; }
case_attack-config-huge() { attack_ config-huge; }
case_attack-console-control() { attack_ console-control; }
case_attack-console-ports() { attack_ console-ports; }
case_attack-net-receive() { attack_ net-receive; }
case_attack-net-announce() { attack_ net-announce; }
case_attack-net-hidden() { attack_ net-hidden; }
case_attack-blk-cache() { attack_ blk-cache; }
case_attack-config-log() { attack_ config-log; }
case_attack-config-short() { attack_ config-short; }
case_attack-net-announce-cut() { attack_ net-announce-cut; }

"case_$1"
honest
