#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Several ports: their names, who is there, 10 MiB each way through each, also to a slow reader and in
# one piece larger than any buffer; ports that come and go; a back-end that is started again.
# limit: 500
. "$SYSTEM/lib.sh"
. "$SYSTEM/console/common.sh"
requires socat

bytes=$(pick $((10 << 20)) $((64 << 20)))

write_file() {
	printf '# ports of the test\n'
	printf 'name=%s,unix=%s/p.%s\n' "$1" "$T" "$1"
	[[ ! ${2:-} ]] || printf 'name=%s,pty,link=%s/%s\n' "$2" "$T" "$2"
}

# stuck TEXT: fails, with what both sides know.
stuck() {
	note "$(tr '\n' ' ' <"/sys/kernel/debug/virtio-ports/${port##*/}")"
	vloop stats p | sed 's/^/# /'
	fail "$1, $(stat -c %s "$T/got") bytes are there"
}

# outgoing PORT SOCKET READER
outgoing() {
	local port client

	port=$(port_of "$1")
	: >"$T/got"
	socat -u "UNIX-CONNECT:$2" "SYSTEM:$3 >$T/got" &
	client=$!
	# A port has room when its other side is open; writers wait for that.
	timeout "$SLOW" cat "$T/data" >"$port" || stuck "writing to $1 ended with $?"
	await_bytes "$T/got" "$bytes"
	cmp "$T/data" "$T/got" || fail "other bytes came through $1"
	kill "$client" 2>/dev/null || true
	wait "$client" || true
	wait_until "$SLOW" port_says "$port" "host_connected: 0" || fail "$1 knows of no end"
}

# incoming PORT SOCKET [FD]: FD has the port open already. What comes for a port that nobody has open
# waits. Readers find the end of the file where nobody is at the other side.
incoming() {
	local port client in

	port=$(port_of "$1")
	socat -u "FILE:$T/data" "UNIX-CONNECT:$2" &
	client=$!
	wait_until "$SLOW" port_says "$port" "host_connected: 1" || fail "$1 knows of no client"
	if [[ ${3:-} ]]; then
		exec {in}<&"$3"
	else
		exec {in}<"$port"
	fi
	timeout "$SLOW" head -c "$bytes" <&"$in" >"$T/got" || stuck "reading from $1 ended with $?"
	exec {in}<&-
	ends "$client" socat
	cmp "$T/data" "$T/got" || fail "other bytes were read from $1"
}

through() {
	outgoing "$@"
	incoming "$1" "$2"
}

mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
make_data "$T/data" "$bytes"
write_file file >"$T/ports"
start_console p --port="name=first,unix=$T/p.first" --port="name=term,unix=$T/p.tty,console" \
	--ports="$T/ports" --max-ports=5
attach p console
for name in first term file; do
	await_port "$name"
done
vloop show p >"$T/shown"
for line in "/dev/vport[0-9]*p0: first" "\(/dev/hvc[0-9]*\|/dev/vport[0-9]*p1\): term" "/dev/vport[0-9]*p2: file"; do
	grep -q "^  $line\$" "$T/shown" || fail "vloop show has no line '$line': $(cat "$T/shown")"
done
vloop probe "$T/none.sock" console 2>/dev/null && fail "a back-end that is not there was probed"
[[ $(cat "$CLASS"/p/queues/*/driver_size | grep -cv '^0$') == 12 ]] || fail "not 12 queues"

through first "$T/p.first" cat
through first "$T/p.first" "sleep 2; cat"
through file "$T/p.file" cat

# In pieces that do not fit anywhere: splice() of a large pipe.
: >"$T/got"
receive_from_first() {
	socat -u "UNIX-CONNECT:$T/p.first" "OPEN:$T/got,wronly" &
	CLIENT=$!
}
receive_from_first
python3 - "$T/data" "$(port_of first)" <<'PYTHON'
import fcntl, os, sys

source = os.open(sys.argv[1], os.O_RDONLY)
port = os.open(sys.argv[2], os.O_WRONLY)
r, w = os.pipe()
fcntl.fcntl(w, 1031, 1 << 20)  # F_SETPIPE_SZ
while True:
    data = os.read(source, 1 << 19)
    if not data:
        break
    while data:
        data = data[os.write(w, data):]
        n = os.splice(r, port, 1 << 20)
        assert n > 0, n
# What a short splice left in the pipe.
os.close(w)
while os.splice(r, port, 1 << 20):
    pass
PYTHON
await_bytes "$T/got" "$bytes"
cmp "$T/data" "$T/got" || fail "other bytes came through splice()"
kill "$CLIENT" 2>/dev/null || true
wait "$CLIENT" || true

# The end of a stream comes after its last byte, though they take different queues. The driver looks for
# data before it looks whether the stream has ended (port_fops_read()): what came in between, with the end,
# it has at the next read.
python3 - "$(port_of first)" "$T/p.first" "$(pick 100 2000)" <<'PYTHON'
import os, socket, sys, threading, time

port, path, rounds = os.open(sys.argv[1], os.O_RDONLY), sys.argv[2], int(sys.argv[3])
state = "/sys/kernel/debug/virtio-ports/" + os.path.basename(sys.argv[1])

def await_end(connected):
    deadline = time.monotonic() + 60
    while "host_connected: %d" % connected not in open(state).read():
        assert time.monotonic() < deadline, "the driver is not told of the client"

def send(client, data):
    client.sendall(data)
    client.close()

def read_all():
    got = b""
    while part := os.read(port, 65536):
        got += part
    return got

for n in range(rounds):
    data = os.urandom(8192 + 61 * n % 50000)
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    await_end(1)
    sender = threading.Thread(target=send, args=(client, data))
    sender.start()
    got = read_all()
    got += read_all()
    sender.join()
    assert got == data, "round %d: %d of %d bytes before the end" % (n, len(got), len(data))
    await_end(0)
PYTHON

# The one that is a terminal: the driver spins for it, and for others it does not.
wait_until "$SLOW" port_says "$(port_of term)" "is_console: yes" ||
	fail "the port 'term' is no terminal"
hvc=$(only_hvc)
: >"$T/got"
receive_from p "$T/got"
wait_until "$SLOW" connected p || fail "nobody takes the client"
open_raw "$hvc"
cat "$T/data" >&7
await_bytes "$T/got" "$bytes"
cmp "$T/data" "$T/got" || fail "other bytes came through the terminal"
kill "$CLIENT"
wait "$CLIENT" || true

# Ports come and go.
first=$(port_of first)
write_file other extra >"$T/ports"
kill -HUP "${SERVER[p]}"
await_port other
await_port extra
wait_until "$SLOW" no_port file || fail "the port 'file' stays"
[[ $(port_of first) == "$first" ]] || fail "a port that stays became another one"
through other "$T/p.other" cat
echo "name=wrong" >"$T/ports"
kill -HUP "${SERVER[p]}"
wait_until "$SLOW" contains "$T/p.log" "ports:1: one of pty" || fail "a mistake is not told"
has_port other || fail "a file with a mistake took a port away"

# The next process tells the driver of its ports again, takes those away that it does not have, and knows
# which ones are open.
exec 7>&-
write_file other >"$T/ports"
exec 8<"$(port_of first)"
kill_server p
wait_state p waiting
start_console p --port="name=first,unix=$T/p.first" --port="name=term,unix=$T/p.tty,console" \
	--ports="$T/ports" --max-ports=5 8<&-
wait_state p running
wait_until "$SLOW" no_port extra || fail "the port 'extra' of the process before stays"
await_port other
incoming first "$T/p.first" 8
incoming other "$T/p.other"
exec 8<&-
through first "$T/p.first" cat
through other "$T/p.other" cat
(($(queue_counter p 3 dropped) == 0)) || fail "control messages were dropped"
detach p
stop_server p
