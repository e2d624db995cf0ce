#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""silent_backend.py SOCKET N: a vhost-user-blk back-end that ignores its Nth message.

It keeps the connection and reads no more from then on, and creates the file *.hung. It writes
the number of each request to *.count, and never serves a ring.
"""
import os
import socket
import struct
import sys
import time

GET_FEATURES, GET_VRING_BASE, GET_PROTOCOL_FEATURES = 1, 11, 15
GET_QUEUE_NUM, GET_CONFIG, GET_STATUS = 17, 24, 40
REPLY, NEED_REPLY = 4, 8
VERSION_1, PROTOCOL = 1 << 32, 1 << 30
MQ, REPLY_ACK, CONFIG = 1 << 0, 1 << 3, 1 << 9
CAPACITY = 65536  # sectors


def receive(sock, length):
    data = b""
    while len(data) < length:
        part, fds, _, _ = socket.recv_fds(sock, length - len(data), 8)
        if not part:
            return None
        for fd in fds:
            os.close(fd)
        data += part
    return data


def answer(request, payload):
    """The payload of the reply that the request itself calls for, or None."""
    if request == GET_FEATURES:
        return struct.pack("Q", VERSION_1 | PROTOCOL)
    if request == GET_PROTOCOL_FEATURES:
        return struct.pack("Q", MQ | REPLY_ACK | CONFIG)
    if request == GET_QUEUE_NUM:
        return struct.pack("Q", 1)
    if request == GET_STATUS:
        return struct.pack("Q", 0)
    if request == GET_VRING_BASE:
        return struct.pack("II", struct.unpack_from("I", payload)[0], 0)
    if request == GET_CONFIG:
        offset, size, flags = struct.unpack_from("III", payload)
        config = struct.pack("Q", CAPACITY).ljust(256, b"\0")
        return struct.pack("III", offset, size, flags) + config[offset:offset + size]
    return None


def serve(sock, base, patience):
    with open(base + ".count", "w", encoding="ascii", buffering=1) as log:
        while True:
            header = receive(sock, 12)
            if not header:
                return
            request, flags, size = struct.unpack("III", header)
            payload = receive(sock, size) if size else b""
            print(request, file=log)
            patience -= 1
            if patience <= 0:
                open(base + ".hung", "w", encoding="ascii").close()
                time.sleep(3600)
            reply = answer(request, payload)
            if reply is None and flags & NEED_REPLY:
                reply = struct.pack("Q", 0)
            if reply is not None:
                sock.sendall(struct.pack("III", request, 1 | REPLY, len(reply)) + reply)


def main():
    path, patience = sys.argv[1], int(sys.argv[2])
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    serve(listener.accept()[0], path.removesuffix(".sock"), patience)
    time.sleep(3600)


main()
