#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Kick files: they are used as eventfds, no request is ever missed, and a kick for a request that has
been answered already wakes nobody.
"""
import ctypes
import fcntl
import glob
import mmap
import os
import select
import struct
import sys
import threading

sys.path.insert(0, os.environ["SYSTEM"])
import vlb  # noqa: E402
from vlb import expect  # noqa: E402

BLK = 2
EVENT_IDX = 1 << 29
BLOCK = 4096
READS = 3000 if os.environ.get("LONG") else 500
READERS = 3


def u64(value):
    return struct.pack("=Q", value)


class Disk:
    """A device, and the back-end of its only queue."""

    def __init__(self, features):
        self.event_idx = features & EVENT_IDX
        self.config = ctypes.create_string_buffer(struct.pack("<Q", 2048), 96)
        self.device = vlb.Device("d", type=BLK, features=vlb.VERSION_1 | features, config_len=96,
                                 config=ctypes.addressof(self.config))
        self.device.register()
        ring = self.device.session(flags=vlb.SESSION_KICK_FILE)
        self.kick, self.call = self.device.fds
        self.num, self.desc, self.avail, self.used = ring[3:]
        self.memory = mmap.mmap(self.device.pool.fd, self.device.pool_len)
        self.seen = 0
        self.fence = threading.Lock()

    def get(self, layout, offset):
        return struct.unpack_from(layout, self.memory, offset)

    def put(self, layout, offset, *values):
        struct.pack_into(layout, self.memory, offset, *values)

    def new(self):
        """Is there a request that has not been seen? Asks for a kick if there is none."""
        if self.get("=H", self.avail + 2)[0] != self.seen:
            return True
        if self.event_idx:
            self.put("=H", self.used + 4 + 8 * self.num, self.seen)
        # The wish before the second look: what a lock takes is a barrier.
        with self.fence:
            return self.get("=H", self.avail + 2)[0] != self.seen

    def answer(self):
        """A success, whatever the question; the last descriptor holds the status."""
        head = at = self.get("=H", self.avail + 4 + 2 * (self.seen % self.num))[0]
        length = 0
        while True:
            address, size, flags, following = self.get("=QIHH", self.desc + 16 * at)
            length += size if flags & 2 else 0
            if not flags & 1:
                break
            at = following
        self.memory[address - self.device.base] = 0
        self.put("=II", self.used + 4 + 8 * (self.seen % self.num), head, length)
        self.seen = (self.seen + 1) % 65536
        with self.fence:
            self.put("=H", self.used + 2, self.seen)

    def serve(self):
        """Answer what there is. True: there was something."""
        any_new = False
        while self.new():
            self.answer()
            os.write(self.call, u64(1))
            any_new = True
        return any_new

    def readable(self):
        poll = select.poll()
        poll.register(self.kick, select.POLLIN)
        return bool(poll.poll(0))

    def node(self):
        pattern = "/sys/class/virtio-loopback/d/virtio*/block/*"
        vlb.wait_for("the disk", lambda: glob.glob(pattern))
        return "/dev/" + os.path.basename(glob.glob(pattern)[0])


def wait_poll(disk):
    """As libvhost-user: a read that fails would be the end."""
    poll = select.poll()
    poll.register(disk.kick, select.POLLIN)

    def wait():
        poll.poll()
        assert struct.unpack("=Q", os.read(disk.kick, 8))[0] > 0
    return wait


def wait_edge(disk):
    """The count is never read."""
    epoll = select.epoll()
    epoll.register(disk.kick, select.EPOLLIN | select.EPOLLET)
    return epoll.poll


def wait_read(disk):
    os.set_blocking(disk.kick, True)
    return lambda: os.read(disk.kick, 8)


def read_blocks(node, count):
    fd = os.open(node, os.O_RDONLY | os.O_DIRECT)
    with mmap.mmap(-1, BLOCK) as data:
        for i in range(count):
            assert os.preadv(fd, [data], i % 128 * BLOCK) == BLOCK
    os.close(fd)


def start_reader(node, count):
    child = os.fork()
    if child == 0:
        try:
            read_blocks(node, count)
            os._exit(0)
        finally:
            os._exit(1)
    return child


class Server(threading.Thread):
    """Serves until it is told to stop, by a kick of our own."""

    def __init__(self, disk, waiter):
        super().__init__(daemon=True)
        self.disk = disk
        self.wait = waiter(disk)
        self.stop = False
        self.start()

    def run(self):
        while not self.stop:
            self.disk.serve()
            self.wait()

    def end(self):
        self.stop = True
        os.write(self.disk.kick, u64(1))
        self.join(vlb.SLOW)
        assert not self.is_alive(), "a kick of its own does not wake the back-end"
        os.set_blocking(self.disk.kick, False)


def ended(child):
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid:
        assert status == 0, f"a reader ended with {status}"
    return pid


def read_nowhere(fd):
    os.write(fd, u64(1))
    if vlb.LIBC.read(fd, ctypes.c_void_p(8), 8) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def as_eventfd(kick):
    """What an eventfd does, before there is anything to be kicked for."""
    assert os.readlink(f"/proc/self/fd/{kick}") == "anon_inode:[virtio-loopback-kick]"
    assert not os.get_inheritable(kick) and not os.get_blocking(kick)
    expect("EAGAIN", os.read, kick, 8)
    os.write(kick, u64(2))
    os.write(kick, u64(3))
    expect("EINVAL", os.read, kick, 7)
    assert os.read(kick, 100) == u64(5)
    expect("EAGAIN", os.read, kick, 8)
    expect("EINVAL", os.write, kick, b"1234567")
    expect("EINVAL", os.write, kick, u64(vlb.MASK))
    expect("EFAULT", read_nowhere, kick)
    os.write(kick, u64(vlb.MASK - 1))
    os.write(kick, u64(7))
    assert os.read(kick, 8) == u64(vlb.MASK - 1)


def out_of_date(disk, node):
    """A request that was found without its kick."""
    child = start_reader(node, 1)
    vlb.wait_for("a request", disk.new)
    vlb.wait_for("its kick", disk.readable)
    vlb.wait_for("its answer", lambda: (disk.serve(), ended(child))[1])
    # Others may look at the disk as well.
    vlb.wait_for("the kick to be out of date", lambda: not disk.serve() and not disk.readable())
    # To who reads in spite of that it is no error.
    assert struct.unpack("=Q", os.read(disk.kick, 8))[0] > 0


def shared(disk):
    """What another process writes is seen here, with nothing to be done."""
    child = os.fork()
    if child == 0:
        os.write(disk.kick, u64(1))
        os._exit(0)
    os.waitpid(child, 0)
    assert disk.readable()
    os.read(disk.kick, 8)


def under_load(disk, node, waiter):
    """Each reader has one request at a time: a kick that is missed ends the test."""
    readers = [start_reader(node, READS) for _ in range(READERS)]
    server = Server(disk, waiter)
    for reader in readers:
        vlb.wait_for(f"all answers, {waiter.__name__}", lambda child=reader: ended(child))
    server.end()


def whole_life(features):
    """From the first session to a descriptor that nobody else has any more."""
    disk = Disk(features)
    as_eventfd(disk.kick)
    assert not disk.readable()
    disk.device.start()
    assert disk.readable(), "no kick when the ring starts"
    server = Server(disk, wait_poll)
    node = disk.node()
    server.end()
    for waiter in (wait_poll, wait_edge, wait_read):
        under_load(disk, node, waiter)
    out_of_date(disk, node)
    shared(disk)
    left = os.dup(disk.kick)
    disk.device.stop(flags=vlb.STOP_FAIL)
    disk.memory.close()
    disk.device.close()
    os.write(left, u64(3))
    assert os.read(left, 8) == u64(3)
    expect("EAGAIN", os.read, left, 8)
    os.close(left)


whole_life(0)
whole_life(EVENT_IDX)
