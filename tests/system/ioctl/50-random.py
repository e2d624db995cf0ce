#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# limit: 240
# limit-long: 900
"""Processes and threads that make random calls on the same files and names at once.

Nothing is said about the results; guest-run looks at what the kernel says, and the end of this
test at whether everything can be removed and made anew.
"""
import contextlib
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.environ["SYSTEM"])
import vlb  # noqa: E402

NAMES = ("a", "b", "c")
SECONDS = 120 if os.environ.get("LONG") else 20
counts = {}


def number(rng):
    return rng.choice((0, 1, 2, 3, 4, 8, 64, 4096, 1 << 31, (1 << 32) - 1, rng.getrandbits(32)))


def garbage(rng, args):
    data = args.pack()
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        data[rng.randrange(4, len(data))] = rng.getrandbits(8)
    return data


def one(rng, files, pool):
    file = rng.choice(files)
    epoch = rng.choice((0, 1, 2, rng.randrange(20)))
    name = rng.choice(NAMES)
    command, args = rng.choice((
        (vlb.CREATE, vlb.create(name, nqueues=rng.choice((1, 1, 2)), timeout_ms=500,
                                pool_len=pool.length)),
        (vlb.REGISTER, vlb.simple()), (vlb.STATUS, vlb.status()), (vlb.REMOVE, vlb.simple()),
        (vlb.START, vlb.start(epoch=epoch)), (vlb.STOP, vlb.start(flags=rng.randrange(4))),
        (vlb.CONFIG, vlb.config(len=0, flags=rng.randrange(2))),
        (vlb.ANSWER, vlb.config(id=number(rng))),
        (vlb.DETACH, vlb.detach(name, flags=rng.randrange(2), timeout_ms=rng.choice((0, 100)))),
        (vlb.SESSION, None), (None, None)))
    if command == vlb.SESSION:
        d = vlb.Device.__new__(vlb.Device)
        d.file, d.epoch, d.nqueues, d.pool_len = file, epoch, 1, pool.length
        fds = []
        try:
            queue = d.session(pool=pool)
            fds = d.fds
            with contextlib.suppress(OSError):
                os.write(queue[2], (1).to_bytes(8, "little"))
        finally:
            for fd in fds or d.fds[:1]:
                with contextlib.suppress(OSError):
                    os.close(fd)
    elif command is None:
        os.read(file.fd, vlb.EVENT_SIZE)
    else:
        file.raw(command, garbage(rng, args))


def worker(seed, until):
    rng = random.Random(seed)
    pool = vlb.Pool(1 << 20)
    files = [vlb.File() for _ in range(3)]
    while time.monotonic() < until:
        got = "OK"
        try:
            one(rng, files, pool)
        except OSError as error:
            got = error.errno
        counts[got] = counts.get(got, 0) + 1
        if rng.random() < 0.02:
            i = rng.randrange(len(files))
            files[i].close()
            files[i] = vlb.File()
    for file in files:
        file.close()


def main():
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    until = time.monotonic() + SECONDS
    children = []
    for process in range(3):
        child = os.fork()
        if child == 0:
            threads = [threading.Thread(target=worker, args=(f"{seed} {process} {n}", until))
                       for n in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            good = counts.get("OK", 0)
            print(f"process {process}: {sum(counts.values())} calls, {good} of them went well")
            sys.stdout.flush()
            os._exit(0 if good > 10 else 1)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0, "a process did not do its work"
    for name in NAMES:
        vlb.wait_for(f"{name} goes", lambda name=name: vlb.device_gone(name))
        d = vlb.Device(name)
        d.register()
        d.session()
        d.start()
        d.close()


main()
