#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sizes, flags, reserved members, pointers and numbers that are wrong."""
import mmap
import os
import struct
import sys

sys.path.insert(0, os.environ["SYSTEM"])
import vlb  # noqa: E402
from vlb import expect  # noqa: E402

PAGE = mmap.PAGESIZE
f = vlb.File()

# A good call, then the same with every kind of wrong size.
got = f.call(vlb.INFO, vlb.info())
assert got["features"] & 3 == 3 and got["queues_max"] >= 1, got
full = vlb.info().values["size"]
for size, wanted in ((0, "EINVAL"), (4, "EINVAL"), (full - 1, "EINVAL"), (full, "OK"),
                     (full + 8, "OK"), (PAGE, "OK"), (PAGE + 1, "EINVAL"), (1 << 31, "EINVAL"),
                     (0xffffffff, "EINVAL")):
    expect(wanted, f.raw, vlb.INFO, bytearray(struct.pack("=I", size) + bytes(PAGE - 4)))
expect("E2BIG", f.raw, vlb.INFO, bytearray(struct.pack("=I", full + 8) + bytes(full - 4) +
                                           b"\1" * 8))
expect("EINVAL", f.call, vlb.INFO, vlb.info(reserved=1))
expect("EINVAL", f.call, vlb.INFO, vlb.info(reserved1=1))

# Bad pointers to the structure itself, for every call.
for command in range(vlb.MAGIC, vlb.DETACH + 1):
    for address in (0, 1, -4096, -1 << 47, PAGE - 4):
        expect("EFAULT", f.at, command, address)

# Calls that do not exist: other numbers, other letters, numbers with direction and size.
for command in (vlb.DETACH + 1, vlb.MAGIC + 0xff, 0xBD00, 0xC008BE00, 0x4000BE02, 0x8038BE00, 0):
    expect("ENOTTY", f.call, command, vlb.info())

for number in (0, 60, 0xffffffff):
    expect("ENOENT", f.call, vlb.TYPE_INFO, vlb.type_info(number))
assert f.call(vlb.TYPE_INFO, vlb.type_info(2))["name"].rstrip(b"\0") == b"blk"
assert f.call(vlb.TYPE_INFO, vlb.type_info(16))["class"] == 2, "gpu is not refused"
# The driver of older kernels frees what a Bluetooth device has.
old = [int(part) for part in os.uname().release.split(".")[:2]] < [6, 2]
assert f.call(vlb.TYPE_INFO, vlb.type_info(40))["class"] == (2 if old else 1), "class of bt"

wrong = [
    ("EPROTONOSUPPORT", {"type": 0}), ("EPROTONOSUPPORT", {"type": 16}),
    ("EPROTONOSUPPORT", {"type": 0xffffffff}), ("EPROTO", {"features": 0}),
    ("EOPNOTSUPP", {"flags": 2}), ("EOPNOTSUPP", {"flags": 0x80000000}),
    ("EINVAL", {"reserved": 1}), ("EINVAL", {"nqueues": 0}), ("EINVAL", {"nqueues": 129}),
    ("EINVAL", {"nqueues": 0xffffffff}), ("EINVAL", {"queue_size": 3}),
    ("EINVAL", {"queue_size": 1}), ("EINVAL", {"queue_size": 2048}),
    ("EINVAL", {"queue_size": 0x80000000}), ("EINVAL", {"driver_queue_size": 100}),
    ("EINVAL", {"driver_queue_size": 32}), ("EINVAL", {"driver_queue_size": 2048}),
    ("EINVAL", {"config_len": 1025}), ("EINVAL", {"config_len": 0xffffffff}),
    ("EFAULT", {"config_len": 8}), ("EFAULT", {"config_len": 8, "config": 1 << 63}),
    ("EINVAL", {"pool_len": 1}), ("EINVAL", {"pool_len": PAGE + 1}), ("ENOSPC", {"pool_len": PAGE}),
    ("EPERM", {"pool_len": 1 << 40}), ("EPERM|EINVAL", {"pool_len": (1 << 64) - PAGE}),
    ("EINVAL", {"timeout_ms": 0xffffffff}),
]
for name in (b"", b".", b"..", b"a/b", b"a b", b"\xc3\xa9", b"a\n", b"n" * 32, b"-%s\x01"):
    wrong.append(("EINVAL", {"name": name}))
for wanted, values in wrong:
    expect(wanted, f.call, vlb.CREATE, vlb.create("x", **values))
    assert not os.listdir(vlb.CLASS), f"{values} left a device"

# ENOSPC tells what would do, and that does.
data = vlb.create("x", pool_len=PAGE).pack()
expect("ENOSPC", f.raw, vlb.CREATE, data)
least = vlb.create("x").unpack(data)["out_pool_min"]
expect("ENOSPC", f.call, vlb.CREATE, vlb.create("x", pool_len=least - PAGE))
expect("OK", f.call, vlb.CREATE, vlb.create("x", pool_len=least))

# The largest of everything.
g = vlb.File()
got = g.call(vlb.CREATE, vlb.create("n" * 31, nqueues=128, queue_size=1024,
                                    driver_queue_size=1024))
assert got["out_pool_len"] >= got["out_pool_min"]
for device in (f, g):
    device.close()
vlb.wait_for("all devices go", lambda: not os.listdir(vlb.CLASS))
