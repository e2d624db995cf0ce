#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Turns meson's testlog.json into one TAP stream with every single test in it."""

import json
import re
import sys

SINGLE = re.compile(r"^(not )?ok\b\s*\d*\s*-?\s*(.*)$")
SKIP = re.compile(r"^(?:1\.\.0 *# *)?skip(?:ped)?\b:? *", re.IGNORECASE)


def reason(program):
    """Why a program was skipped as a whole: what it says about that, or the last that it said."""
    said = (program.get("stdout") or "") + "\n" + (program.get("stderr") or "")
    lines = [line.strip() for line in said.splitlines() if line.strip()] or [""]
    line = next(filter(SKIP.match, lines), lines[-1])
    return SKIP.sub("", line) or "it does not say why"


def main():
    count = failed = 0

    def report(good, text):
        nonlocal count, failed
        count += 1
        failed += not good
        print(f"{'ok' if good else 'not ok'} {count} - {text}")

    with open(sys.argv[1], encoding="utf-8") as log:
        for line in log:
            program = json.loads(line)
            # "virtio-loopback:blk / program": the suite, unless the test's own name begins so.
            suite, _, name = program["name"].rpartition(" / ")
            suite = suite.rpartition(":")[2]
            name = name if name.startswith(suite) else f"{suite}-{name}"
            output = program.get("stdout") or ""
            singles = list(filter(None, map(SINGLE.match, output.splitlines())))
            bad = any(single[1] for single in singles)
            for single in singles:
                report(not single[1], f"{name}: {single[2]}")
            if program["result"] == "SKIP":
                if not singles:
                    report(True, f"{name} # SKIP {reason(program)}")
            elif program["result"] not in ("OK", "EXPECTEDFAIL"):
                # A crash, a time-out, or what a sanitizer found: no test says so.
                if not bad:
                    report(False, f"{name}: {program['result'].lower()}")
                for text in (output + (program.get("stderr") or "")).splitlines()[-40:]:
                    if not SINGLE.match(text):
                        print(f"# {text}")
            elif not singles:
                report(True, name)
    print(f"1..{count}")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
