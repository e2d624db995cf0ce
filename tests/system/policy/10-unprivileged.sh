#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Root only by default; then what the module's parameters allow, and no more.
. "$SYSTEM/lib.sh"

as_nobody() {
	timeout "$SLOW" setpriv --reuid nobody --regid nogroup --clear-groups --no-new-privs "$@"
}

# nobody EXIT-STATUS TYPE NAME [OPTION...]: an attach by somebody without rights.
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

attach_as_nobody() {
	: >"$1.out"
	as_nobody vloop attach rng "$T/$1.sock" --name "$1" >"$1.out" 2>"$1.err" &
	ADAPTER[$1]=$!
	wait_until "$SLOW" attached "$1"
	[[ -s $1.out ]] || fail "refused: $(cat "$1.err")"
}

cleanup_fn load_module
chmod 777 "$T"
make_disk d.img 8M
start_qsd d d.img
for name in r r1 r2; do
	start_rng $name
done
chmod 666 ./*.sock

refused 6 rng r
chmod 666 /dev/virtio-loopback
refused 6 rng r
grep -q 'virtio-loopback(4)' r.err || fail "it does not say where the policy is: $(cat r.err)"

load_module unprivileged_types=rng max_devices_user=2 max_pool_mb_user=1
chmod 666 /dev/virtio-loopback
refused 6 blk d
refused 6 rng r --pool 2M
attach_as_nobody r
[[ $(<"$CLASS/r/owner_uid") == $(id -u nobody) ]] || fail "the device belongs to somebody else"
attach_as_nobody r1
refused 1 rng r2
grep -q 'limit' r2.err || fail "it says: $(cat r2.err)"

start_rng root
attach root rng
status=0
as_nobody vloop detach root 2>detach.log || status=$?
((status == 6)) || fail "nobody's detach of root's device: $status, $(cat detach.log)"
as_nobody vloop detach r
detach r1
detach root

load_module unprivileged_types=blk,scsi,gpu,net
chmod 666 /dev/virtio-loopback
refused 6 rng r
