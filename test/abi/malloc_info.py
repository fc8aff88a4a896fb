#!/usr/bin/env python3
"""malloc_info gives well-formed XML whose totals follow what the program holds."""

import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import harness

MIB = 1 << 20


def totals(path):
    """Bytes that the document says are held from the kernel, and of these in use."""
    root = ElementTree.parse(path).getroot()
    harness.check(root.tag == "malloc", f"the root element is {root.tag}")
    harness.check(root.get("version") == "1", f"version is {root.get('version')}")
    kinds = {total.get("type"): int(total.get("size")) for total in root.findall("total")}
    held = sum(
        int(system.get("size"))
        for system in root.findall("system")
        if system.get("type") == "current"
    )
    harness.check(held > 0, "no <system type=\"current\"> at the top level")
    held += kinds.get("mmap", 0)
    unused = kinds.get("fast", 0) + kinds.get("rest", 0)
    return held, held - unused


def main():
    parser = harness.parser(__doc__)
    parser.add_argument("program")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("before", "with", "after")]
        done = harness.run(args, [args.program, *map(str, paths)])
        harness.check(done.returncode == 0, f"the program failed:\n{done.stderr}")
        requested = int(done.stdout.splitlines()[-1])
        (_, used_before), (held_with, used_with), (_, used_after) = map(totals, paths)
    print(f"in use: {used_before}, then {used_with}, then {used_after}; requested {requested}")
    grown = used_with - used_before
    harness.check(requested - MIB <= grown <= requested * 9 // 8 + 4 * MIB, "growth is untrue")
    harness.check(held_with >= requested, "less is held than the program has")
    harness.check(abs(used_after - used_before) <= 4 * MIB, "freed memory still counts as used")


if __name__ == "__main__":
    sys.exit(main())
