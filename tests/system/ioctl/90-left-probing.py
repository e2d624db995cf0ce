#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Random number generators whose process leaves them while the kernel looks at them.

Their driver's probe waits for a lock that the kernel's own reader holds while it sleeps for a number
of the same device.
"""
import os
import sys
import time

sys.path.insert(0, os.environ["SYSTEM"])
import vlb  # noqa: E402

for i in range(60):
    names = [f"r{i}-{k}" for k in range(3)]
    files = []
    for name in names:
        file = vlb.File()
        file.call(vlb.CREATE, vlb.create(name))
        file.call(vlb.REGISTER, vlb.simple())
        files.append(file)
        time.sleep(i % 6 / 1000)
    for file in files:
        file.close()
    for name in names:
        vlb.wait_for(f"{name} goes", lambda: vlb.device_gone(name))
