#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""
The receive buffers of a network device in the smallest pool. A driver that expects the largest packets
makes buffers that do not fit there. They would come back as packets of zeroes that fill them.
"""
import ctypes
import errno
import fcntl
import glob
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.environ["SYSTEM"])
import vlb  # noqa: E402

NET = 1
MTU, MAC, GUEST_CSUM, TSO4, TSO6, UFO = 1 << 3, 1 << 5, 1 << 1, 1 << 7, 1 << 8, 1 << 10
MAC_ADDRESS = bytes([2, 0, 0, 0, 0, 1])
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def pool_min(**values):
    """The smallest pool for such a device."""
    file = vlb.File()
    data = vlb.create("least", pool_len=4096, **values).pack()
    try:
        fcntl.ioctl(file.fd, vlb.CREATE, data, True)
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
    file.close()
    return vlb.create("least").unpack(data)["out_pool_min"]


def raise_interface(name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), IFF_UP))


def counter(which):
    with open(f"/sys/class/virtio-loopback/d/queues/0/{which}", encoding="ascii") as file:
        return int(file.read())


def receive(features, mtu):
    """Buffers for packets are offered, and none is given back while none has come."""
    space = ctypes.create_string_buffer(MAC_ADDRESS + struct.pack("<HHH", 1, 1, mtu), 12)
    values = {"type": NET, "nqueues": 2, "features": vlb.VERSION_1 | MAC | features,
              "config_len": 12, "config": ctypes.addressof(space)}
    device = vlb.Device("d", pool_len=pool_min(**values), **values)
    device.register()
    kicks = [os.eventfd(0), os.eventfd(0)]
    queues = ctypes.create_string_buffer(b"".join(
        struct.pack("=IIIIQQQ", kick, 0, 0, 0, 0, 0, 0) for kick in kicks), 80)
    device.session(queues=ctypes.addressof(queues), kick=kicks[0])
    device.fds = kicks + [struct.unpack_from("=IIIIQQQ", queues.raw, i * 40)[2] for i in (0, 1)]
    device.start()
    pattern = "/sys/class/virtio-loopback/d/virtio*/net/*"
    vlb.wait_for("the interface", lambda: glob.glob(pattern))
    raise_interface(os.path.basename(glob.glob(pattern)[0]))
    vlb.wait_for("receive buffers", lambda: counter("requests") or counter("failed"))
    # A buffer that is given back comes again at once.
    time.sleep(1)
    assert counter("failed") == 0, f"{counter('failed')} receive buffers were given back"
    device.close()


receive(0, 1500)
receive(GUEST_CSUM | TSO4 | TSO6 | UFO, 1500)
receive(MTU, 65535)
