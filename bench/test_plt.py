#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails unless the workloads of uslub_bench call malloc and free, and through the PLT."""

import re
import subprocess
import sys

# Where the compiler could have removed a pair, or bound a call to the binary itself.
EXPECTED = {
    "run_lifo": {"malloc", "free"},
    "run_random": {"malloc", "free"},
    "run_fifo": {"malloc", "free"},
    "free_all": {"free"},
    "allocate_all": {"malloc"},
}


def calls_of(listing: str) -> dict[str, set[str]]:
    calls: dict[str, set[str]] = {}
    for block in re.split(r"\n\n", listing):
        head = re.match(r"\s*[0-9a-f]+ <([^>]+)>:", block)
        if head:
            # The call may be a jump where it is the last thing a function does.
            calls[head.group(1)] = set(re.findall(r"<(\w+)@plt>", block))
    return calls


def main() -> int:
    objdump, binary = sys.argv[1:]
    listing = subprocess.run(
        [objdump, "-d", "--no-show-raw-insn", binary], capture_output=True, text=True, check=True
    ).stdout
    calls = calls_of(listing)
    failed = False
    for function, expected in EXPECTED.items():
        missing = expected - calls.get(function, set())
        if missing:
            print(f"{function}() calls no {' and no '.join(sorted(missing))} through the PLT")
            failed = True
    print(f"{len(EXPECTED)} functions looked at" if not failed else "failed")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
