# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Each peer turns the same kind of backing into a block device. They are all
# started before the first measurement and stay; one that is idle costs nothing.

readonly BACKING=/dev/shm/bench.img
readonly BACKING_SIZE=$((256 << 20))
readonly NULL_SIZE=$((1 << 30))

# device_of[PEER] is its block device; servers are the processes to end.
declare -A device_of=()
servers=()

# wait_until SECONDS COMMAND...
wait_until() {
	local tries=$(($1 * 50))

	# See preload in bench/guest/measure.
	[[ ! $BENCH_COUNTED ]] || tries=$((tries * 1000))

	shift
	until "$@"; do
		((tries-- > 0)) || return 1
		sleep 0.02
	done
}

# A file of real pages that every file peer shares: what is in it does not matter.
make_backing() {
	[[ -s $BACKING ]] || head -c "$BACKING_SIZE" /dev/zero >"$BACKING"
}

# serve NAME COMMAND...: starts a server, its output in a log.
serve() {
	local name=$1

	shift
	"$@" >"$BENCH_DIR/$name.log" 2>&1 </dev/null &
	servers+=("$!")
}

# The block driver under qemu-storage-daemon's exports.
qsd_backing() {
	case $1 in
	null) printf 'driver=null-co,node-name=n0,size=%s,read-zeroes=off' "$NULL_SIZE" ;;
	zero) printf 'driver=null-co,node-name=n0,size=%s,read-zeroes=on' "$NULL_SIZE" ;;
	file) printf 'driver=file,node-name=n0,filename=%s,locking=off' "$BACKING" ;;
	esac
}

# attach_ours PEER SOCKET
attach_ours() {
	modprobe virtio_loopback &&
		device_of[$1]=$(vloop attach --background --wait-socket 20 --name "$1" blk "$2")
}

start_vloop_qsd() {
	local peer=vloop-qsd-$1

	serve "$peer" qemu-storage-daemon --blockdev "$(qsd_backing "$1")" \
		--export "type=vhost-user-blk,id=e0,node-name=n0,addr.type=unix,addr.path=$BENCH_DIR/$peer.sock,num-queues=1,writable=on"
	attach_ours "$peer" "$BENCH_DIR/$peer.sock"
}

vduse_block_device() {
	set -- /sys/bus/vdpa/devices/"$1"/virtio*/block/*
	[[ -e $1 ]] && printf '/dev/%s' "${1##*/}"
}

start_vduse_qsd() {
	local peer=vduse-qsd-$1

	# The driver too: nothing loads it for a device that appears.
	modprobe -a vduse virtio_vdpa virtio_blk || return
	serve "$peer" qemu-storage-daemon --blockdev "$(qsd_backing "$1")" \
		--export "type=vduse-blk,id=e0,node-name=n0,name=$peer,num-queues=1,queue-size=256,writable=on"
	wait_until 20 test -e "/sys/class/vduse/$peer" &&
		wait_until 5 vdpa dev add name "$peer" mgmtdev vduse 2>"$BENCH_DIR/vdpa.log" &&
		wait_until 10 vduse_block_device "$peer" >/dev/null &&
		device_of[$peer]=$(vduse_block_device "$peer")
}

start_vloop_blk() {
	local peer=vloop-blk-$1 source=("--file=$BACKING")

	[[ $1 == file ]] || source=(--null "--size=$NULL_SIZE")
	command -v vloop-blk >/dev/null || {
		echo "vloop-blk is not built" >"$BENCH_DIR/$peer.log"
		return 1
	}
	serve "$peer" vloop-blk "--socket-path=$BENCH_DIR/$peer.sock" "${source[@]}"
	attach_ours "$peer" "$BENCH_DIR/$peer.sock"
}

# The server's memory is filled first, for it treats holes differently.
start_nbd() {
	modprobe nbd nbds_max=1 || return
	serve nbd nbdkit --foreground --unix "$BENCH_DIR/nbd.sock" memory "$NULL_SIZE"
	wait_until 20 test -S "$BENCH_DIR/nbd.sock" &&
		nbd-client -unix "$BENCH_DIR/nbd.sock" /dev/nbd0 >"$BENCH_DIR/nbd.log" 2>&1 &&
		fill /dev/nbd0 && device_of[nbd]=/dev/nbd0
}

start_loop() {
	modprobe loop
	device_of[loop]=$(losetup --find --show "$BACKING")
}

start_null_blk() {
	modprobe null_blk nr_devices=1 gb=1 bs=512 queue_mode=2 irqmode=0 submit_queues=1 \
		hw_queue_depth=256 && device_of[null_blk]=/dev/nullb0
}

start_brd() {
	modprobe brd rd_nr=1 rd_size=$((NULL_SIZE >> 10)) && fill /dev/ram0 &&
		device_of[brd]=/dev/ram0
}

fill() {
	dd if=/dev/zero of="$1" bs=1M count=$((BACKING_SIZE >> 20)) oflag=direct status=none
}

# start_peer NAME: a failure costs this peer only.
start_peer() {
	local queue name

	make_backing
	case $1 in
	vloop-qsd-*) start_vloop_qsd "${1##*-}" ;;
	vduse-qsd-*) start_vduse_qsd "${1##*-}" ;;
	vloop-blk-*) start_vloop_blk "${1##*-}" ;;
	nbd | loop | null_blk | brd) "start_$1" ;;
	*) false ;;
	esac
	if [[ ! ${device_of[$1]-} ]]; then
		complain "$1" "did not start: $(tail -n 1 "$BENCH_DIR/$1.log" 2>/dev/null)"
		return
	fi
	queue=/sys/block/${device_of[$1]#/dev/}/queue
	# A disk without requests (brd) has none to choose.
	echo none 2>/dev/null >"$queue/scheduler" || true
	{
		printf '%s' "$1"
		for name in scheduler max_sectors_kb max_segments max_segment_size nr_requests; do
			printf '\t%s=%s' "$name" "$(<"$queue/$name")"
		done
		printf '\n'
	} >>"$RESULTS/devices.tsv"
}

# Devices first: a driver with a server gone would have to wait for it.
stop_peers() {
	local peer

	for peer in "${!device_of[@]}"; do
		case $peer in
		vloop-*) vloop detach "$peer" ;;
		vduse-*) vdpa dev del "$peer" ;;
		nbd) nbd-client -d /dev/nbd0 >/dev/null ;;
		loop) losetup --detach "${device_of[$peer]}" ;;
		esac
	done
	((${#servers[@]} == 0)) || kill "${servers[@]}" 2>/dev/null
	wait
	device_of=() servers=()
}
