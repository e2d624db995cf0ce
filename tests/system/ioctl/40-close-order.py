#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Descriptors closed in every order; copies in other processes; use after the device is gone."""
import itertools
import os
import signal
import sys

sys.path.insert(0, os.environ["SYSTEM"])
import vlb  # noqa: E402
from vlb import expect  # noqa: E402

CALL = (1).to_bytes(8, "little")
PARTS = ("control", "pool", "mapping", "kick", "call")


def running(name, flags=0):
    d = vlb.Device(name)
    d.register()
    d.session(flags=flags)
    d.start()
    return d


def shut(d, part):
    if part == "control":
        d.file.close()
    elif part == "mapping":
        d.pool.unmap()
    elif part == "pool":
        os.close(d.pool.fd)
        d.pool.fd = -1
    else:
        os.close(d.fds[PARTS.index(part) - 3])


orders = list(itertools.permutations(PARTS))
if not os.environ.get("LONG"):
    orders = orders[::5]
for number, order in enumerate(orders):
    # A name is free a little later than its directory is gone.
    d = running(f"order{number}", flags=vlb.SESSION_KICK_FILE * (number % 2))
    for part in order:
        shut(d, part)
        if "call" in order[order.index(part) + 1:]:
            # Whatever is left, a late call must not find freed memory.
            expect("OK|EIO|ENODEV|EPIPE|ESHUTDOWN|EBADFD", os.write, d.fds[1], CALL)
        if "kick" in order[order.index(part) + 1:]:
            expect("OK", os.write, d.fds[0], CALL)
            expect("OK", os.read, d.fds[0], 8)
    d.fds = []
    d.close()

# The device lives as long as any copy of its control file.
d = running("copies")
child = os.fork()
if child == 0:
    signal.pause()
os.close(d.file.fd)
d.file.fd = -1
assert os.path.exists(vlb.CLASS + "copies"), "removed although another process has the file"
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
vlb.wait_for("the device goes", lambda: vlb.device_gone("copies"))
d.close()

# A process that is killed in the middle.
for step in ("create", "register", "session", "start"):
    child = os.fork()
    if child == 0:
        d = vlb.Device(f"killed-{step}")
        if step != "create":
            d.register()
        if step in ("session", "start"):
            d.session()
        if step == "start":
            d.start()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    vlb.wait_for("the device goes", lambda name=f"killed-{step}": vlb.device_gone(name))

# Everything goes on working.
d = running("order")
d.close()
