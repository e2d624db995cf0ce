# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the system tests share. A test starts with ". "$SYSTEM/lib.sh"", is killed at its
# first command that fails, and has these variables:
#   T        scratch directory, in memory
#   LONG     not empty: full lengths and counts
#   BACKEND  the variant, for tests that have some ("# variants:" in their head)
#   SLOWER   how many times as long things may take in this kernel
# guest-run ends what a test leaves behind, and looks whether the kernel is well.

set -Eeuo pipefail
last_error=none
trap 'last_error="line $LINENO, $BASH_COMMAND"' ERR

CLASS=/sys/class/virtio-loopback
# Seconds that anything may take that should be quick: machines may be slow, and shared.
: "${SLOWER:=1}"
SLOW=$((90 * SLOWER))
# How often wait_until() looks.
printf -v POLL '0.%02d' $((5 * SLOWER))
[[ -p $T/.never ]] || mkfifo "$T/.never"
declare -A ADAPTER=() SERVER=()
cleanups=()

fail() {
	local i=1

	while [[ ${BASH_SOURCE[i]} == *lib.sh ]]; do
		i=$((i + 1))
	done
	echo "FAIL: $* (line ${BASH_LINENO[i - 1]})"
	exit 1
}

skip() {
	echo "SKIP: $*"
	exit 77
}

# note TEXT: a measured value, shown with the result.
note() {
	echo "# $*"
}

requires() {
	local program

	for program; do
		command -v "$program" >/dev/null || skip "no $program here"
	done
}

# pick QUICK LONG: the one of this run.
pick() {
	if [[ ${LONG:-} ]]; then echo "$2"; else echo "$1"; fi
}

# cleanup_fn COMMAND...: run at the end, the last one first.
cleanup_fn() {
	cleanups=("$(printf '%q ' "$@")" "${cleanups[@]}")
}

at_exit() {
	local status=$? command name

	trap - EXIT
	set +e
	if ((status != 0 && status != 77)); then
		echo "ended with $status; last command that failed: $last_error"
		print_logs
	fi
	for command in "${cleanups[@]}"; do
		eval "$command"
	done
	! mountpoint -q "$T/mnt" || umount -l "$T/mnt"
	for name in "${!ADAPTER[@]}"; do
		[[ ! -e $CLASS/$name ]] || timeout 60 vloop detach --force "$name"
	done
	exit "$status"
}
trap at_exit EXIT

print_logs() {
	local file

	grep -H . "$CLASS"/*/{state,in_flight} "$CLASS"/*/queues/*/{requests,stalls,failed,reoffered,clamped} 2>/dev/null |
		grep -v ':0$'
	for file in "$T"/*.err "$T"/*.log; do
		[[ ! -s $file ]] || tail -n 8 "$file" | sed "s|^|${file##*/}: |"
	done
}

# wait_until SECONDS COMMAND...
wait_until() {
	local deadline=$((SECONDS + $1))

	shift
	until "$@"; do
		((SECONDS < deadline)) || return 1
		# Nobody writes there: a process that sleeps costs User Mode Linux a second of work.
		read -rt "$POLL" <>"$T/.never" || true
	done
}

alive() {
	kill -0 "$1" 2>/dev/null
}

gone() {
	! alive "$1"
}

# expect STATUS COMMAND...: fails unless the command ends with this status, in time.
expect() {
	local want=$1 status=0

	shift
	timeout -k 5 "$SLOW" "$@" || status=$?
	((status == want)) || fail "'$*' ended with $status, not $want"
}

# ends PID: its exit status; fails when it does not end.
ends() {
	local status=0

	wait_until "$SLOW" gone "$1" || fail "process $1 (${2:-}) does not end"
	wait "$1" || status=$?
	return "$status"
}

make_disk() {
	truncate -s "$2" "$1"
}

# --- back-ends. Each listens on $T/NAME.sock; its process is ${SERVER[NAME]}.

listening() {
	grep -q " $1\$" /proc/net/unix || ! alive "$2"
}

await_server() {
	wait_until "$SLOW" listening "$T/$1.sock" "${SERVER[$1]}"
	alive "${SERVER[$1]}" || fail "back-end $1 did not start"
}

# start_qsd NAME IMAGE [QUEUES [on|off]]: writable or not; its monitor is $T/NAME.qmp.
start_qsd() {
	local name=$1

	rm -f "$T/$name.sock"
	qemu-storage-daemon \
		--chardev "socket,id=m,path=$T/$name.qmp,server=on,wait=off" --monitor chardev=m \
		--blockdev "driver=file,node-name=f0,filename=$2,discard=unmap" \
		--blockdev "driver=raw,node-name=n0,file=f0,discard=unmap" \
		--export "type=vhost-user-blk,id=e0,node-name=n0,addr.type=unix,addr.path=$T/$name.sock,num-queues=${3:-1},writable=${4:-on}" \
		>>"$T/$name.log" 2>&1 &
	SERVER[$name]=$!
	await_server "$name"
}

# start_vloop_blk NAME IMAGE [QUEUES [on|off]]
start_vloop_blk() {
	local name=$1 options=(--file="$2" --num-queues="${3:-1}")

	command -v vloop-blk >/dev/null || fail "vloop-blk is not built"
	[[ ${4:-on} == on ]] || options+=(--read-only)
	rm -f "$T/$name.sock"
	vloop-blk --socket-path="$T/$name.sock" "${options[@]}" >>"$T/$name.log" 2>&1 &
	SERVER[$name]=$!
	await_server "$name"
}

# start_disk: the same with the back-end of this variant.
start_disk() {
	case $BACKEND in
	qsd) start_qsd "$@" ;;
	vloop-blk) start_vloop_blk "$@" ;;
	*) fail "no back-end '$BACKEND'" ;;
	esac
}

# start_rng NAME [OPTION...]
start_rng() {
	local name=$1

	shift
	rm -f "$T/$name.sock"
	vloop-rng --socket-path="$T/$name.sock" "$@" >>"$T/$name.log" 2>&1 &
	SERVER[$name]=$!
	await_server "$name"
}

# start_console NAME OPTION...: its socket for clients, where it has one, is $T/NAME.tty.
start_console() {
	local name=$1

	shift
	rm -f "$T/$name.sock"
	vloop-console --socket-path="$T/$name.sock" "$@" >>"$T/$name.log" 2>&1 &
	SERVER[$name]=$!
	await_server "$name"
}

# start_input NAME [OPTION...]
start_input() {
	local name=$1

	shift
	rm -f "$T/$name.sock"
	vloop-input --socket-path="$T/$name.sock" "$@" >>"$T/$name.log" 2>&1 &
	SERVER[$name]=$!
	await_server "$name"
}

stop_server() {
	kill "${SERVER[$1]}" 2>/dev/null || true
	ends "${SERVER[$1]}" "back-end $1" || true
}

# kill_server NAME: without a chance to say good-bye. It may be gone already: QEMU 10's aborts
# at times when its front-end vanishes under load (vhost_user_server_inc_in_flight).
kill_server() {
	kill -9 "${SERVER[$1]}" 2>/dev/null || true
	wait "${SERVER[$1]}" 2>/dev/null || true
}

# --- devices

attached() {
	[[ -s $T/$1.out ]] || gone "${ADAPTER[$1]}"
}

# attach NAME TYPE [OPTION...]: the back-end of the same name. See dev().
attach() {
	local name=$1 type=$2

	shift 2
	: >"$T/$name.out"
	vloop attach "$type" "$T/$name.sock" --name "$name" --device-timeout $((10 * SLOWER)) "$@" \
		>"$T/$name.out" 2>>"$T/$name.err" &
	ADAPTER[$name]=$!
	wait_until "$SLOW" attached "$name" || fail "attach of $name: no result"
	[[ -s $T/$name.out ]] || fail "attach of $name ended without a device"
	[[ $type != blk || -b $(dev "$name") ]] || fail "attach of $name: no disk but $(dev "$name")"
}

# dev NAME: its kernel device, such as /dev/vda.
dev() {
	cat "$T/$1.out"
}

# detach NAME [OPTION...]: fails unless the device goes and its adapter ends well.
detach() {
	local name=$1 status=0

	timeout -k 5 $((SLOW + 30)) vloop detach "$@" || fail "vloop detach $* ended with $?"
	[[ ! -e $CLASS/$name ]] || fail "$name is still there after its detach"
	ends "${ADAPTER[$name]}" "adapter of $name" || status=$?
	((status == 0)) || fail "the adapter of $name ended with $status"
}

state_is() {
	[[ $(cat "$CLASS/$1/state" 2>/dev/null) == "$2" ]]
}

# wait_state NAME STATE
wait_state() {
	wait_until "$SLOW" state_is "$1" "$2" ||
		fail "$1 is '$(cat "$CLASS/$1/state" 2>&1)' and not '$2'"
}

no_device() {
	[[ ! -e $CLASS/$1 ]]
}

wait_no_device() {
	wait_until "$SLOW" no_device "$1" || fail "device $1 does not go"
}

# queue_counter NAME QUEUE WHICH
queue_counter() {
	cat "$CLASS/$1/queues/$2/$3"
}

# counter NAME WHICH: over all queues.
counter() {
	cat "$CLASS/$1/queues"/*/"$2" | awk '{ sum += $1 } END { print sum }'
}

# check_counters NAME: no request was lost, doubled or failed.
check_counters() {
	local requests completed reoffered failed

	wait_until "$SLOW" idle "$1" || fail "$(cat "$CLASS/$1/in_flight") requests stay in flight"
	requests=$(counter "$1" requests) completed=$(counter "$1" completed)
	reoffered=$(counter "$1" reoffered) failed=$(counter "$1" failed)
	note "$1: requests=$requests completed=$completed reoffered=$reoffered stalls=$(counter "$1" stalls)"
	((failed == 0)) || fail "$failed requests failed"
	((requests > 0)) || fail "no request was counted"
	((requests - reoffered == completed)) ||
		fail "requests=$requests - reoffered=$reoffered is not completed=$completed"
}

idle() {
	[[ $(cat "$CLASS/$1/in_flight") == 0 ]]
}

# --- load

# verify DISK [FIO-OPTION...]: write, read back, compare. Fails on any error.
verify() {
	local disk=$1

	shift
	timeout -k 5 $((240 * SLOWER)) fio --name=verify --filename="$disk" --direct=1 \
		--ioengine=io_uring --rw=randwrite --size=32m --bsrange=512-1m --iodepth=16 \
		--allow_file_create=0 --serialize_overlap=1 --verify=crc32c --verify_fatal=1 --randrepeat=0 \
		--output="$T/fio.log" "$@"
}

# load_start DISK [FIO-OPTION...]: verify() again and again, until load_stop.
load_start() {
	(
		trap - EXIT
		while [[ ! -e $T/load-stop ]]; do
			verify "$@" || exit 1
		done
	) &
	LOAD=$!
}

# load_stop: fails if there was an error.
load_stop() {
	local status=0

	touch "$T/load-stop"
	wait_until $((300 * SLOWER)) gone "$LOAD" || fail "the load does not end"
	wait "$LOAD" || status=$?
	rm "$T/load-stop"
	((status == 0)) || fail "an I/O error or wrong data under load"
}

busy() {
	(($(counter "$1" requests) > ${2:-100}))
}

# wait_busy NAME: until requests have passed.
wait_busy() {
	wait_until "$SLOW" busy "$1" $(($(counter "$1" requests) + 20)) || fail "no load on $1"
}

# A number below $1.
random() {
	echo $((SRANDOM % $1))
}
