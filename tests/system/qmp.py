#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""qmp.py SOCKET COMMAND [KEY=VALUE...]: one command for qemu-storage-daemon."""
import json
import socket
import sys


def value(text):
    return int(text) if text.isdigit() else text


def main():
    path, command, *pairs = sys.argv[1:]
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(path)
    stream = sock.makefile("rw")
    stream.readline()  # the greeting
    arguments = {key: value(text) for key, text in (p.split("=", 1) for p in pairs)}
    for request in ({"execute": "qmp_capabilities"},
                    {"execute": command, "arguments": arguments}):
        stream.write(json.dumps(request) + "\n")
        stream.flush()
        answer = {}
        while not {"return", "error"} & answer.keys():  # events come in between
            answer = json.loads(stream.readline())
        if "error" in answer:
            sys.exit(f"{command}: {answer['error']['desc']}")
    print(json.dumps(answer["return"]))


main()
