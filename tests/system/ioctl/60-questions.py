#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""
A config space that answers questions (input): a question that nobody answers, and answers that are
not to be believed. The driver has to see nothing instead of the answer to another question.
"""
import fcntl
import glob
import os
import select
import struct
import subprocess
import sys

sys.path.insert(0, os.environ["SYSTEM"])
import vlb  # noqa: E402

NAME, SERIAL, IDS, BITS, AXIS = 1, 2, 3, 0x11, 0x12
EV_KEY, EV_REL, EV_ABS, ABS_X, ABS_MT_SLOT = 1, 2, 3, 0, 0x2F
EIO = 5
INPUT = 18
EVIOCGABS = 0x80184540


def answer(question):
    """The bytes behind the selectors, or None: an error."""
    chosen, sub = question
    if chosen == NAME:
        # Longer than the driver's own copy.
        return 128, b"n" * 128
    if chosen == SERIAL:
        return None
    if chosen == IDS:
        return 8, struct.pack("<4H", 1, 2, 3, 4)
    if question == (BITS, EV_KEY):
        return 4, b"\xff\xff\xff\xff"
    if question == (BITS, EV_REL):
        return None
    if question == (BITS, EV_ABS):
        return 6, bytes([1 << ABS_X, 0, 0, 0, 0, 1 << (ABS_MT_SLOT % 8)])
    if question == (AXIS, ABS_X):
        return 20, struct.pack("<5i", -7, 1000, 0, 0, 0)
    if question == (AXIS, ABS_MT_SLOT):
        return 20, struct.pack("<5i", 0, 0x7FFFFFFF, 0, 0, 0)
    return 0, b""


def serve(device, space):
    """Answer until the driver is ready."""
    asked = [0, 0]
    poll = select.poll()
    poll.register(device.file.fd, select.POLLIN)
    while poll.poll(vlb.SLOW * 1000):
        data = os.read(device.file.fd, vlb.EVENT_SIZE)
        (_, event, epoch, _, number, _, offset, length,
         written) = struct.unpack_from("=IIIIQQII24s", data)
        if event == vlb.DRIVER_OK:
            device.epoch = epoch
            return
        if event == vlb.REGISTERED:
            continue
        assert event == vlb.CONFIG_WRITE and offset in (0, 1) and length == 1, event
        asked[offset] = written[0]
        reply = answer(tuple(asked))
        # Answers to other questions, and answers that do not fit, leave the driver waiting.
        for other in number - 1, number + 1, 0:
            vlb.expect("ENOENT", device.file.call, vlb.ANSWER, vlb.config(id=other, error=EIO))
        if reply is None:
            device.file.call(vlb.ANSWER, vlb.config(id=number, error=EIO))
            continue
        # A lie about what was asked must not lead around the checks of the answer.
        lie = bytes([0x77, 0x77, reply[0]]) + bytes(5) + reply[1]
        buffer = vlb.ctypes.create_string_buffer(lie.ljust(space, b"\0")[:space], space)
        address = vlb.ctypes.addressof(buffer)
        vlb.expect("EINVAL", device.file.call, vlb.ANSWER,
                   vlb.config(id=number, offset=1, len=space, data=address))
        device.file.call(vlb.ANSWER, vlb.config(id=number, len=space, data=address))
        vlb.expect("ENOENT", device.file.call, vlb.ANSWER, vlb.config(id=number, error=EIO))
    raise AssertionError("the driver does not come")


def make(name, space):
    """An input device, answered by serve(); the directory of what its driver made of it."""
    first = vlb.ctypes.create_string_buffer(space)
    device = vlb.Device(name, type=INPUT, nqueues=2, config_len=space,
                        config=vlb.ctypes.addressof(first))
    device.file.call(vlb.REGISTER, vlb.simple())
    serve(device, space)
    pattern = f"/sys/class/virtio-loopback/{name}/virtio*/input/*"
    vlb.wait_for("the input device", lambda: glob.glob(pattern + "/event*"))
    return device, glob.glob(pattern)[0] + "/"


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read().strip()


# Without udev, nobody else does.
subprocess.run(["modprobe", "evdev"], check=True)
d, node = make("d", 136)
assert read(node + "name") == "n" * 63, read(node + "name")
assert read(node + "uniq") == "", read(node + "uniq")
assert read(node + "id/version") == "0004", read(node + "id/version")
# KEY_RESERVED is no key.
assert read(node + "capabilities/key") == "fffffffe", read(node + "capabilities/key")
assert read(node + "capabilities/rel") == "0", read(node + "capabilities/rel")
event = "/dev/input/" + os.path.basename(glob.glob(node + "event*")[0])
fd = os.open(event, os.O_RDONLY)
axis = struct.unpack("6i", fcntl.ioctl(fd, EVIOCGABS + ABS_X, bytes(24)))
assert axis[1:3] == (-7, 1000), axis
axis = struct.unpack("6i", fcntl.ioctl(fd, EVIOCGABS + ABS_MT_SLOT, bytes(24)))
assert axis[1:3] == (0, 1023), axis
os.close(fd)
d.close()

# Where an answer does not fit, there is none.
d, node = make("d", 100)
assert read(node + "name") == "", read(node + "name")
assert read(node + "capabilities/key") == "0", read(node + "capabilities/key")
d.close()
