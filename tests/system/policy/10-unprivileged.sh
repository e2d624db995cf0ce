#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Root only by default; then what the module's parameters allow, and no more.
. "$SYSTEM/lib.sh"

# Some are there until the test ends.
as_nobody() {
	timeout $((5 * SLOW)) setpriv --reuid nobody --regid nogroup --clear-groups --no-new-privs "$@"
}

# refused EXIT-STATUS TYPE NAME [OPTION...]: an attach by somebody without rights.
refused() {
	local status=0 want=$1 type=$2 name=$3

	shift 3
	as_nobody vloop attach "$type" "$T/$name.sock" --name "$name" "$@" >"$name.out" 2>"$name.err" ||
		status=$?
	((status == want)) || fail "attach $type $*: $status: $(cat "$name.err")"
	wait_no_device "$name"
}

load_module() {
	wait_until "$SLOW" rmmod virtio_loopback 2>rmmod.log || fail "$(cat rmmod.log)"
	modprobe virtio_loopback "$@"
}

# attach_as_nobody TYPE NAME [OPTION...]
attach_as_nobody() {
	local type=$1 name=$2

	shift 2
	: >"$name.out"
	# What anybody may lock in memory is enough for such a pool.
	as_nobody vloop attach "$type" "$T/$name.sock" --name "$name" --pool 4M "$@" >"$name.out" 2>"$name.err" &
	ADAPTER[$name]=$!
	wait_until "$SLOW" attached "$name"
	[[ -s $name.out ]] || fail "refused: $(cat "$name.err")"
}

cleanup_fn load_module
chmod 777 "$T"
for name in d d1 d2 root; do
	make_disk $name.img 8M
	start_qsd $name $name.img
done
start_rng r
chmod 666 ./*.sock

refused 6 blk d
chmod 666 /dev/virtio-loopback
refused 6 blk d
grep -q 'virtio-loopback(4)' d.err || fail "it does not say where the policy is: $(cat d.err)"

# rng feeds the kernel's own entropy: for the trusted only, whatever the list says.
load_module unprivileged_types=rng,blk max_devices_user=2 max_pool_mb_user=5
chmod 666 /dev/virtio-loopback
refused 6 rng r
refused 8 blk d --pool 6M
# Drivers wait for so long with locks that others want.
refused 6 blk d --pool 4M --timeout 31
attach_as_nobody blk d
[[ $(<"$CLASS/d/owner_uid") == "$(id -u nobody)" ]] || fail "the device belongs to somebody else"
verify "$(dev d)" --size=2m --bsrange=4k-64k
attach_as_nobody blk d1
refused 1 blk d2 --pool 4M
grep -q 'limit' d2.err || fail "it says: $(cat d2.err)"

attach root blk
status=0
as_nobody vloop detach root 2>detach.log || status=$?
((status == 6)) || fail "nobody's detach of root's device: $status, $(cat detach.log)"
as_nobody vloop detach d
detach d1
detach root

# Whoever waits for a user's disk that says nothing gets an error, also while nobody is there.
for signal in STOP KILL; do
	attach_as_nobody blk d2 --timeout 3
	kill -$signal "${SERVER[d2]}"
	status=0
	timeout "$SLOW" dd if="$(dev d2)" of=/dev/null bs=4k count=1 iflag=direct 2>dd.log || status=$?
	((status == 1)) || fail "reading a silent disk ended with $status"
	wait_state d2 broken
	[[ $(<"$CLASS/d2/broken_reason") == timeout ]] || fail "it is broken for another reason"
	as_nobody vloop detach d2
	ends "${ADAPTER[d2]}" "adapter of d2" || true
	kill -CONT "${SERVER[d2]}" 2>/dev/null || true
done

# Root says whom the kernel is to trust.
start_console c --pty --link="$T/c.tty"
chmod 666 c.sock
load_module unprivileged_types=console
chmod 666 /dev/virtio-loopback
refused 6 console c --trusted
grep -q -- '--trusted' c.err || fail "it does not say what it may not: $(cat c.err)"
attach_as_nobody console c
as_nobody vloop detach c
ends "${ADAPTER[c]}" "adapter of c" || true

load_module unprivileged_types=scsi,gpu,net
chmod 666 /dev/virtio-loopback
refused 6 blk d
