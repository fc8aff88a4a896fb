#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails unless libuslub_lockless.so differs from libuslub.so by the lock's stores alone."""

import re
import subprocess
import sys

# The lock is taken by storing the stack pointer; see core/local_lock.h.
TAKEN = re.compile(r"\bmov\s+%rsp,.*\(")


def functions(objdump: str, library: str) -> dict[str, str]:
    listing = subprocess.run(
        [objdump, "-d", "--no-show-raw-insn", library],
        capture_output=True, text=True, check=True,
    ).stdout
    body = r"^[0-9a-f]+ <(malloc|free)>:\n((?:.+\n)+)"
    return dict(re.findall(body, listing, re.MULTILINE))


def instructions(body: str) -> int:
    """Of a function, without what fills it up to the next."""
    lines = body.splitlines()
    return len([line for line in lines if not re.search(r"\bnop|\bxchg +%ax,%ax", line)])


def main() -> int:
    objdump, locked, lockless = sys.argv[1:]
    with_lock, without = functions(objdump, locked), functions(objdump, lockless)
    failed = False
    for name in ("malloc", "free"):
        taken = len(TAKEN.findall(with_lock[name])), len(TAKEN.findall(without[name]))
        fewer = instructions(with_lock[name]) - instructions(without[name])
        print(f"{name}: lock taken {taken[0]} and {taken[1]} times, {fewer} instructions fewer")
        # Two stores on the way through, and what else a way out or an address needs.
        failed |= taken != (1, 0) or not 2 <= fewer <= 4
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
