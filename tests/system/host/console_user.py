#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The other side of the consoles of 30-qemu-devices.sh, with devices-in-guest.sh in the guest.

Usage: console_user.py DIRECTORY PID DATA

DIRECTORY has the terminal and the sockets of the ports, PID serves the ports, DATA is what the
guest sends through a port and gets back in reverse.
"""
import fcntl
import os
import re
import select
import signal
import socket
import struct
import sys
import termios
import time
import tty

LIMIT = 300


class Terminal:
    """Someone at a terminal."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)
        self.screen = ""

    def say(self, text):
        os.write(self.fd, text.encode() + b"\r")

    def see(self, pattern):
        """Wait until it is on the screen, behind what was waited for before."""
        while not (found := re.search(pattern, self.screen)):
            if not select.select([self.fd], [], [], LIMIT)[0]:
                sys.exit(f"'{pattern}' does not appear behind {self.screen[-500:]!r}")
            self.screen += os.read(self.fd, 4096).decode(errors="replace")
        self.screen = self.screen[found.end():]

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def session(terminal):
    """Log in, and work there."""
    terminal.see("login:")
    terminal.say("visitor")
    terminal.see(r"visitor@.*\$ ")
    terminal.say('echo "six times seven is $((6 * 7)), I am $(id -un) at $(tty)"')
    terminal.see("six times seven is 42, I am visitor at /dev/hvc0")
    terminal.resize(50, 132)
    terminal.say('until [[ $(stty size) == "50 132" ]]; do sleep 0.1; done; echo "now $(stty size)."')
    terminal.see("now 50 132[.]")
    terminal.say("exit")


def client(path):
    """Connect to a port, when it is there."""
    deadline = time.monotonic() + LIMIT
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(LIMIT)
    while connection.connect_ex(path):
        if time.monotonic() > deadline:
            sys.exit(f"nobody listens at {path}")
        time.sleep(0.05)
    return connection


def receive(connection, length):
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            sys.exit(f"the port ended after {len(data)} of {length} bytes")
        data += part
    return data


def transfer(connection, data):
    """The data comes, and goes back the other way round."""
    if receive(connection, len(data)) != data:
        sys.exit("other bytes came through the port")
    connection.sendall(data[::-1])


def write_ports(directory, pid, text):
    with open(directory + "/later", "w", encoding="ascii") as file:
        file.write(text)
    os.kill(pid, signal.SIGHUP)


def hotplug(directory, pid):
    """A port comes, says something, and goes when there was an answer."""
    path = directory + "/later.port"
    write_ports(directory, pid, f"name=later,unix={path}\n")
    with client(path) as connection:
        connection.sendall(b"are you there\n")
        if receive(connection, 4) != b"yes\n":
            sys.exit("another answer came through the second port")
    write_ports(directory, pid, "")


def main():
    directory, pid, data = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    terminal = Terminal(directory + "/terminal")
    with open(data, "rb") as file, client(directory + "/data.port") as connection:
        session(terminal)
        transfer(connection, file.read())
        hotplug(directory, pid)


main()
