# SPDX-License-Identifier: BSD-3-Clause
"""include/uapi/linux/virtio_loopback.h for tests, and little helpers for them."""
import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import select
import struct
import time

NODE = "/dev/virtio-loopback"
CLASS = "/sys/class/virtio-loopback/"
MAGIC = 0xBE00
(INFO, TYPE_INFO, CREATE, REGISTER, SESSION, START, STOP, ANSWER, CONFIG, STATUS, REMOVE,
 DETACH) = range(MAGIC, MAGIC + 12)
REGISTERED, DRIVER_OK, RESET, CONFIG_WRITE, BROKEN, REMOVING, REMOVED = range(1, 8)
STATE_CREATED, STATE_WAITING, STATE_RUNNING, STATE_FAILING, STATE_BROKEN = range(1, 6)
SESSION_CALL_EVENTFD, SESSION_KICK_FILE = 1, 2
STOP_FAIL, STOP_BROKEN = 1, 2
VERSION_1 = 1 << 32
RNG = 4
SLOW = 90 * int(os.environ.get("SLOWER") or 1)
MASK = (1 << 64) - 1
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int,
                      ctypes.c_int, ctypes.c_long]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

EVENT_SIZE = 64


class Struct:
    """A structure of the header: fields by name, and its bytes."""

    def __init__(self, layout, fields, **values):
        self.layout = "=" + layout
        self.fields = ("size " + fields).split()
        self.values = dict.fromkeys(self.fields, 0)
        self.values["size"] = struct.calcsize(self.layout)
        self.values.update(values)

    def pack(self):
        return bytearray(struct.pack(self.layout, *(self.values[f] for f in self.fields)))

    def unpack(self, data):
        values = struct.unpack_from(self.layout, data)
        self.values = dict(zip(self.fields, values))
        return self.values


def info(**v):
    return Struct("IIQIIIIQ", "reserved features queues_max queue_size_max config_max reserved1 "
                  "pool_max", **v)


def type_info(number, **v):
    return Struct("IIIIQQ16s", "type class flags pool_default pool_per_queue name",
                  **{"type": number, "name": b"", **v})


def create(device, **v):
    return Struct("IIIIQIIIIIIQQQQ32s",
                  "flags type vendor features nqueues queue_size driver_queue_size config_len "
                  "timeout_ms reserved config pool_len out_pool_len out_pool_min name",
                  **{"type": RNG, "features": VERSION_1, "nqueues": 1, "name": device.encode(), **v})


def simple(**v):
    return Struct("II", "flags", **v)


def session(**v):
    return Struct("IIIIQQQQ", "flags epoch nqueues pool pool_len queues out_base", **v)


def start(**v):
    return Struct("IIII", "flags epoch reserved", **v)


def config(**v):
    return Struct("IIIIQQII", "flags offset len data id error reserved", **v)


def status(**v):
    return Struct("IIIIQ32s", "state epoch driver_status driver_features virtio",
                  **{"virtio": b"", **v})


def detach(name, **v):
    return Struct("IIII32s", "flags timeout_ms reserved name", **{"name": name.encode(), **v})


def code(function, *args, **kwargs):
    """The name of the errno that a call ends with, or "OK"."""
    try:
        function(*args, **kwargs)
    except OSError as error:
        # ENOTSUP is the same number.
        return errno.errorcode[error.errno].replace("ENOTSUP", "EOPNOTSUPP")
    return "OK"


def expect(wanted, function, *args, **kwargs):
    got = code(function, *args, **kwargs)
    wanted = wanted.split("|")
    if got not in wanted:
        raise AssertionError(f"{got} instead of {wanted}: {function.__name__} {args} {kwargs}")


def wait_for(what, condition):
    deadline = time.monotonic() + SLOW
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what}")
        time.sleep(0.01)


def device_gone(name):
    return not os.path.exists(CLASS + name)


class File:
    """An open control file."""

    def __init__(self):
        self.fd = os.open(NODE, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)

    def raw(self, command, data):
        fcntl.ioctl(self.fd, command, data)

    def at(self, command, address):
        """With any address, also one that Python refuses."""
        if LIBC.ioctl(self.fd, ctypes.c_ulong(command), ctypes.c_ulong(address & MASK)) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def call(self, command, args):
        data = args.pack()
        fcntl.ioctl(self.fd, command, data, True)
        return args.unpack(data)

    def event(self):
        """The next event, as (type, epoch)."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        wait_for("an event", lambda: (poll.poll(1000) or [(0, 0)])[0][1] & select.POLLIN)
        data = os.read(self.fd, EVENT_SIZE)
        return struct.unpack_from("=IIII", data)[1:3]

    def event_until(self, wanted):
        while True:
            event, epoch = self.event()
            if event == wanted:
                return epoch

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


class Pool:
    """A memory file, or another one, and its mapping."""

    def __init__(self, length, seal=True, flags=mmap.MAP_SHARED, prot=None, path=None):
        self.length = length
        if path:
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        else:
            self.fd = os.memfd_create("pool", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, length)
        if seal and not path:
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW |
                        fcntl.F_SEAL_SEAL)
        prot = mmap.PROT_READ | mmap.PROT_WRITE if prot is None else prot
        self.address = LIBC.mmap(None, length, prot, flags, self.fd, 0)

    def unmap(self):
        if self.address:
            LIBC.munmap(self.address, self.length)
        self.address = None

    def close(self):
        self.unmap()
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


class Device:
    """An rng device that this process made, up to the event that its driver is ready."""

    def __init__(self, name, **values):
        self.name = name
        self.file = File()
        self.fds = []
        self.pool = None
        self.nqueues = values.get("nqueues", 1)
        self.pool_len = self.file.call(CREATE, create(name, **values))["out_pool_len"]
        self.epoch = 0
        self.base = 0

    def register(self):
        self.file.call(REGISTER, simple())
        self.epoch = self.file.event_until(DRIVER_OK)

    def queue_array(self, kick=None, call=0):
        """One queue, as the address of its structure; keep the object."""
        kick = os.eventfd(0) if kick is None else kick
        data = ctypes.create_string_buffer(struct.pack("=IIIIQQQ", kick, call, 0, 0, 0, 0, 0), 40)
        return data, kick

    def session(self, pool=None, queues=None, kick=None, call=0, **values):
        flags = values.get("flags", 0)
        self.pool = pool or Pool(self.pool_len)
        if flags & SESSION_KICK_FILE and kick is None:
            kick = 0
        data, kick = self.queue_array(kick, call)
        args = {"epoch": self.epoch, "nqueues": self.nqueues, "pool": self.pool.address,
                "pool_len": self.pool_len,
                "queues": ctypes.addressof(data) if queues is None else queues, **values}
        self.fds = [] if flags & SESSION_KICK_FILE else [kick]
        self.base = self.file.call(SESSION, session(**args))["out_base"]
        out_kick, _, out_call = struct.unpack_from("=III", data.raw)
        if flags & SESSION_KICK_FILE:
            self.fds = [out_kick]
        if not flags & SESSION_CALL_EVENTFD:
            self.fds.append(out_call)
        return struct.unpack_from("=IIIIQQQ", data.raw)

    def start(self, **values):
        self.file.call(START, start(**{"epoch": self.epoch, **values}))

    def stop(self, **values):
        self.file.call(STOP, start(**values))

    def close(self):
        self.file.close()
        for fd in self.fds:
            with contextlib.suppress(OSError):
                os.close(fd)
        self.fds = []
        if self.pool:
            self.pool.close()
        wait_for(f"{self.name} goes", lambda: device_gone(self.name))
