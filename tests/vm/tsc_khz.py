#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Prints the rate of this machine's time stamp counter in kHz, which an emulated CPU has too.

Where it cannot be read (another architecture, no executable memory) nothing is printed.
"""
import ctypes
import mmap
import platform
import sys
import time

# rdtsc; shl $32, %rdx; or %rdx, %rax; ret
READ_TSC = bytes.fromhex("0f31" "48c1e220" "4809d0" "c3")
PAIRS = 50
SECONDS = 0.1


def reader(code):
    """A function that returns the counter; lives in code, a mapping that can be executed."""
    code.write(READ_TSC)
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return ctypes.CFUNCTYPE(ctypes.c_uint64)(address)


def moment(read_tsc):
    """(ns, ticks) of one moment: of several pairs, the one that nothing came between."""
    best = None
    for _ in range(PAIRS):
        before = read_tsc()
        now = time.monotonic_ns()
        after = read_tsc()
        if best is None or after - before < best[0]:
            best = (after - before, now, (before + after) // 2)
    return best[1:]


def main():
    if platform.machine() != "x86_64":
        return
    try:
        code = mmap.mmap(-1, mmap.PAGESIZE,
                         prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:
        return
    read_tsc = reader(code)
    ns, ticks = moment(read_tsc)
    time.sleep(SECONDS)
    later_ns, later_ticks = moment(read_tsc)
    print((later_ticks - ticks) * 1000000 // (later_ns - ns))


if __name__ == "__main__":
    sys.exit(main())
