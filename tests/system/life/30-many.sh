#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# 32 devices at once: each has its own data, all work at the same time, all go.
# limit: 400
. "$SYSTEM/lib.sh"

count=32
exports=()
for ((i = 0; i < count; i++)); do
	make_disk "disk$i.img" 4M
	exports+=(--blockdev "driver=file,node-name=f$i,filename=disk$i.img"
		--blockdev "driver=raw,node-name=n$i,file=f$i"
		--export "type=vhost-user-blk,id=e$i,node-name=n$i,addr.type=unix,addr.path=d$i.sock,num-queues=1,writable=on")
done
qemu-storage-daemon "${exports[@]}" >qsd.log 2>&1 &
server=$!
for ((i = 0; i < count; i++)); do
	wait_until "$SLOW" listening "d$i.sock" "$server"
done
for ((i = 0; i < count; i++)); do
	vloop attach blk "d$i.sock" --name "d$i" --pool 4M --device-timeout "$SLOW" >"d$i.out" 2>>"d$i.err" &
	ADAPTER[d$i]=$!
done
for ((i = 0; i < count; i++)); do
	wait_until "$SLOW" attached "d$i" || fail "no disk $i"
	[[ -b $(dev "d$i") ]] || fail "no disk $i: $(cat "d$i.err")"
done
[[ $(cat d*.out | sort -u | wc -l) == "$count" ]] || fail "a disk was given twice"
[[ $(vloop list | grep -c running) == "$count" ]] || fail "vloop list: $(vloop list)"

writers=()
for ((i = 0; i < count; i++)); do
	head -c 1M /dev/urandom >"data$i"
	dd if="data$i" of="$(dev "d$i")" bs=64k oflag=direct 2>"dd$i.log" &
	writers+=($!)
done
for pid in "${writers[@]}"; do
	ends "$pid" dd || fail "a writer failed: $(cat dd*.log)"
done
for ((i = 0; i < count; i++)); do
	cmp -n 1M "data$i" "$(dev "d$i")" || fail "disk $i has other data"
	cmp -n 1M "data$i" "disk$i.img" || fail "image $i has other data"
done
# One that is in use keeps no other.
mkfs.ext4 -q "$(dev d3)"
mkdir mnt
mount "$(dev d3)" mnt
expect 9 vloop detach --all 2>detach.log
grep -q "'d3' is mounted" detach.log || fail "it says: $(cat detach.log)"
[[ $(ls "$CLASS") == d3 ]] || fail "there are: $(ls "$CLASS")"
umount mnt
expect 11 vloop detach nobody d3 2>detach.log
grep -q "no device 'nobody'" detach.log || fail "it says: $(cat detach.log)"
expect 0 vloop detach --all
for ((i = 0; i < count; i++)); do
	ends "${ADAPTER[d$i]}" "adapter $i" || fail "adapter $i: $?, $(cat "d$i.err")"
	wait_no_device "d$i"
done
kill $server
