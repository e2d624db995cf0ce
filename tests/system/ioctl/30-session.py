#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sessions with memory and descriptors that will not do."""
import mmap
import os
import subprocess
import sys

sys.path.insert(0, os.environ["SYSTEM"])
import vlb  # noqa: E402
from vlb import expect  # noqa: E402

BAD = "EINVAL|EFAULT|EBADF|EPERM"
PAGE = mmap.PAGESIZE

d = vlb.Device("d")
d.register()
length = d.pool_len


def refused(wanted, **values):
    before = len(os.listdir("/proc/self/fd"))
    pool = values.pop("pool", None)
    kick = values.pop("kick", None)
    own_pool = pool or vlb.Pool(length)
    own_kick = os.eventfd(0) if kick is None else kick
    expect(wanted, d.session, pool=own_pool, kick=own_kick, **values)
    own_pool.close()
    for fd in d.fds[1:]:
        os.close(fd)
    if kick is None:
        os.close(own_kick)
    after = len(os.listdir("/proc/self/fd"))
    assert after == before - (pool is not None), f"descriptors: {before} then {after}, {values}"


refused("EINVAL", nqueues=0)
refused("EINVAL", nqueues=2)
refused("EINVAL", nqueues=0xffffffff)
refused("EFAULT", queues=0)
refused("EFAULT", queues=1 << 47)
refused("EFAULT", queues=0xffff888000000000)
refused(BAD, pool_len=length - PAGE)
refused(BAD, pool_len=length + PAGE)
refused(BAD, pool_len=0)
refused(BAD, pool_len=(1 << 64) - PAGE)
# Named by an address in "values", so that it wins over the pool's own.
for address in (0, PAGE, 0xffff888000000000, (1 << 64) - PAGE, (1 << 47) - PAGE):
    class Nowhere(vlb.Pool):
        """A pool whose address is a lie."""
        def __init__(self, where):
            super().__init__(length)
            self.real, self.address = self.address, where

        def close(self):
            self.address = self.real
            super().close()
    refused(BAD, pool=Nowhere(address))


class Shifted(vlb.Pool):
    """Not aligned to a page."""
    def __init__(self):
        super().__init__(length)
        self.address += 8

    def close(self):
        self.address -= 8
        super().close()


refused(BAD, pool=Shifted())
# Foolish, and a danger to nobody else: a mapping that no back-end can share.
refused("OK|" + BAD, pool=vlb.Pool(length, flags=mmap.MAP_PRIVATE))
refused(BAD, pool=vlb.Pool(length, prot=mmap.PROT_READ))
refused(BAD, pool=vlb.Pool(length, prot=0))

# A file whose pages a file system may lock. Anonymous memory is all right.
os.makedirs("disk")
subprocess.run("truncate -s 64M disk.img && mkfs.ext4 -q disk.img && mount -o loop disk.img disk",
               shell=True, check=True)
refused(BAD, pool=vlb.Pool(length, path="disk/pool"))
subprocess.run(["umount", "disk"], check=True)
refused("OK", pool=vlb.Pool(length, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS))

# Kick and call that are no eventfds.
null = os.open("/dev/null", os.O_RDWR)
for fd in (null, d.file.fd, 9999, 0xffffffff):
    refused(BAD, kick=fd)
    refused(BAD, flags=vlb.SESSION_CALL_EVENTFD, call=fd)
event = os.eventfd(0)
refused("OK", flags=vlb.SESSION_CALL_EVENTFD, call=event)

# Memory that was good while the session was made may go afterwards: the kernel holds it.
d.session()
d.start()
d.pool.close()
os.write(d.fds[1], (1).to_bytes(8, "little"))
expect("EINVAL|OK", os.write, d.fds[1], b"1234")
d.stop()

# The same with a file that was not sealed and is cut off under the session.
d.session(pool=vlb.Pool(length, seal=False))
d.start()
os.ftruncate(d.pool.fd, 0)
os.write(d.fds[1], (1).to_bytes(8, "little"))
d.stop()

# A stopped session's call file does nothing any more, and harms nobody.
os.write(d.fds[1], (1).to_bytes(8, "little"))
d.close()
