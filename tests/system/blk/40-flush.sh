#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A flush of the driver becomes a flush of the back-end.
# variants: qsd vloop-blk
. "$SYSTEM/lib.sh"
requires strace

make_disk disk.img 16M
start_disk d disk.img
attach d blk
disk=$(dev d)
# Of qsd too, whose config space denies it.
[[ $(<"/sys/block/${disk##*/}/queue/write_cache") == "write back" ]] || fail "no write cache"

# A server that works through io_uring makes no system call for it; tracing shows it all the same.
tracing=/sys/kernel/tracing
event=$tracing/events/io_uring/io_uring_submit_req
# Its name in Linux 6.1.
[[ -e $event ]] || event=$tracing/events/io_uring/io_uring_submit_sqe
echo >$tracing/trace
echo 1 >"$event/enable"
cleanup_fn sh -c "echo 0 >$event/enable; echo >$tracing/trace"
strace -f -o strace.log -e trace=fsync,fdatasync -p "${SERVER[d]}" 2>strace.err &
strace=$!
wait_until "$SLOW" grep -q attached strace.err || fail "strace: $(cat strace.err)"

flushes() {
	echo $(($(grep -cE 'f(data)?sync\(' strace.log) +
		$(grep -c FSYNC $tracing/trace)))
}

dd if=/dev/urandom of="$disk" bs=64k count=4 oflag=direct 2>dd.log
before=$(flushes)
for ((i = 0; i < 5; i++)); do
	dd if=/dev/urandom of="$disk" bs=4k count=1 seek="$i" conv=fsync 2>dd.log
done
# strace stopped and waited for: its log is complete then.
kill "$strace"
wait "$strace" || true
(($(flushes) >= before + 5)) || fail "5 flushes of the application, $(flushes) of the back-end"
((before == 0)) || fail "$before flushes that nobody asked for"
detach d
