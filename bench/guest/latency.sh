# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The time from the source of an event to the application, beside its floor.

# keep_latency WHAT: what bench-latency printed becomes rows of the results.
keep_latency() {
	sed -n "s/^\\(floor\\|ours\\)\t/$1\t&/p" "$BENCH_DIR/latency.out" >>"$RESULTS/latency.tsv"
	grep -q '^ours' "$BENCH_DIR/latency.out" ||
		complain "latency $1" "$(tail -n 1 "$BENCH_DIR/latency.log")"
}

# latency_input COUNT: a uinput mouse, forwarded from its evdev node.
latency_input() {
	local source='' socket=$BENCH_DIR/latency-input.sock pid

	modprobe -a uinput evdev virtio_input virtio_loopback
	mkfifo "$BENCH_DIR/latency.go"
	bench-latency input vloop-bench "$1" <"$BENCH_DIR/latency.go" >"$BENCH_DIR/latency.out" \
		2>"$BENCH_DIR/latency.log" &
	pid=$!
	exec 9>"$BENCH_DIR/latency.go"
	wait_until 20 grep -q ^source "$BENCH_DIR/latency.out"
	source=$(cut -f 2 "$BENCH_DIR/latency.out")
	serve latency-input vloop-input --evdev="$source" --socket-path="$socket" 9>&-
	vloop attach --background --wait-socket 20 --name latency-input input "$socket" >&2 9>&- ||
		kill "$pid"
	# Events before the device is ready would get lost.
	exec 9>&-
	wait "$pid"
	vloop detach latency-input
	keep_latency input
}

# latency_console COUNT: a console whose other end is a pty.
latency_console() {
	local socket=$BENCH_DIR/latency-console.sock pty=$BENCH_DIR/latency.pty tty

	modprobe -a virtio_console virtio_loopback
	serve latency-console vloop-console --pty --link="$pty" --when-absent=wait --socket-path="$socket"
	tty=$(vloop attach --background --wait-socket 20 --name latency-console console "$socket")
	bench-latency console "$tty" "$pty" "$1" >"$BENCH_DIR/latency.out" 2>"$BENCH_DIR/latency.log"
	vloop detach latency-console
	keep_latency console
}
