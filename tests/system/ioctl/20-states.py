#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every call in every state of a device: what fits goes, the rest says EBADFD and the like."""
import os
import sys

sys.path.insert(0, os.environ["SYSTEM"])
import vlb  # noqa: E402
from vlb import expect  # noqa: E402

f = vlb.File()
for command, args in ((vlb.REGISTER, vlb.simple()), (vlb.SESSION, vlb.session()),
                      (vlb.START, vlb.start()), (vlb.STOP, vlb.start()),
                      (vlb.ANSWER, vlb.config()), (vlb.CONFIG, vlb.config()),
                      (vlb.STATUS, vlb.status()), (vlb.REMOVE, vlb.simple())):
    expect("EBADFD", f.call, command, args)
expect("EBADFD", os.read, f.fd, vlb.EVENT_SIZE)
expect("ENOENT", f.call, vlb.DETACH, vlb.detach("nobody"))
expect("EINVAL", f.call, vlb.DETACH, vlb.detach("a/b"))
expect("EOPNOTSUPP", f.call, vlb.DETACH, vlb.detach("nobody", flags=2))
f.close()

# Created.
d = vlb.Device("d")
expect("EBADFD", d.file.call, vlb.CREATE, vlb.create("e"))
other = vlb.File()
expect("EEXIST", other.call, vlb.CREATE, vlb.create("d"))
expect("EAGAIN", os.read, d.file.fd, vlb.EVENT_SIZE)
expect("EINVAL", os.read, d.file.fd, vlb.EVENT_SIZE - 1)
expect("ESTALE", d.session)
expect("EBADFD|ESTALE", d.start)
expect("OK", d.stop)
expect("ENOENT", d.file.call, vlb.ANSWER, vlb.config(id=1))
expect("EINVAL", d.file.call, vlb.ANSWER, vlb.config(id=1, error=100000))
expect("EINVAL", d.file.call, vlb.CONFIG, vlb.config(offset=0, len=1025, data=1))
expect("EINVAL|EFAULT", d.file.call, vlb.CONFIG, vlb.config(offset=0xffffffff, len=8, data=1))
for command, args in ((vlb.REGISTER, vlb.simple(flags=1)), (vlb.REMOVE, vlb.simple(flags=1)),
                      (vlb.SESSION, vlb.session(flags=4)), (vlb.START, vlb.start(flags=1)),
                      (vlb.STOP, vlb.start(flags=4)), (vlb.CONFIG, vlb.config(flags=2)),
                      (vlb.ANSWER, vlb.config(flags=1))):
    expect("EOPNOTSUPP", d.file.call, command, args)
expect("EINVAL", d.file.call, vlb.START, vlb.start(reserved=1))
expect("EINVAL", d.file.call, vlb.STOP, vlb.start(reserved=1))
assert d.file.call(vlb.STATUS, vlb.status())["state"] == vlb.STATE_CREATED

# Registered.
d.register()
expect("EBADFD", d.file.call, vlb.REGISTER, vlb.simple())
assert d.file.call(vlb.STATUS, vlb.status())["state"] == vlb.STATE_WAITING
expect("ESTALE", d.session, epoch=d.epoch + 1)
expect("ESTALE", d.start, epoch=d.epoch + 1)
expect("EBADFD", d.start)

# A session, replaced before its start, then started.
d.session()
first, base = list(d.fds), d.base
d.session()
assert d.base != base, "a back-end could take the new pool for the old one"
for fd in first:
    os.close(fd)
d.start()
expect("EBADFD", d.start)
expect("EBUSY", d.session)
assert d.file.call(vlb.STATUS, vlb.status())["state"] == vlb.STATE_RUNNING

# Stopped, failing, started again, broken.
d.stop()
assert d.file.call(vlb.STATUS, vlb.status())["state"] == vlb.STATE_WAITING
d.stop(flags=vlb.STOP_FAIL)
assert d.file.call(vlb.STATUS, vlb.status())["state"] == vlb.STATE_FAILING
d.session()
d.start()
d.stop(flags=vlb.STOP_BROKEN)
assert d.file.call(vlb.STATUS, vlb.status())["state"] == vlb.STATE_BROKEN
expect("EBADFD", d.session)
expect("EBADFD", d.start)
d.file.event_until(vlb.BROKEN)

# Removed.
d.file.call(vlb.REMOVE, vlb.simple())
d.file.event_until(vlb.REMOVED)
assert os.read(d.file.fd, 4096) == b"", "an event after the last one"
expect("ENODEV", d.file.call, vlb.REMOVE, vlb.simple())
expect("ENODEV", d.session)
# The driver's end was a reset, so that the epoch is an old one too.
expect("ENODEV|ESTALE", d.start)
expect("EBADFD", d.file.call, vlb.CREATE, vlb.create("d"))
d.file.call(vlb.STATUS, vlb.status())
expect("OK", other.call, vlb.CREATE, vlb.create("d"))
expect("OK", d.file.call, vlb.DETACH, vlb.detach("d", timeout_ms=60000))
other.event_until(vlb.REMOVED)
other.close()
d.close()
