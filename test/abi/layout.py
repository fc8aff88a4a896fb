#!/usr/bin/env python3
"""What a program runs through that only starts, allocates and ends lies in the library's first 64 KiB."""

import argparse
import re

import harness
from exports import output_of

FIRST = 64 << 10  # what the kernel maps around a page that is touched
WANTED = {".rodata", ".init", ".fini", ".text.first"}
CALLED = "malloc free kmalloc_slow kfree_slow slab_free_full thread_current new_slab frame_reserve nodes_init".split()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lib", required=True)
    parser.add_argument("--readelf", required=True)
    parser.add_argument("--nm", required=True)
    args = parser.parse_args()
    sections = output_of(args.readelf, "-SW", args.lib)
    found = {
        name: int(start, 16) + int(size, 16)
        for name, start, size in re.findall(
            r"\] (\S+)\s+PROGBITS\s+([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)", sections)
        if name in WANTED
    }
    harness.check(found.keys() == WANTED, f"sections {sorted(WANTED - found.keys())} are missing")
    for name, end in found.items():
        harness.check(end <= FIRST, f"{name} ends at {end}, beyond {FIRST}")
    symbols = {
        line.split()[-1]: int(line.split()[0], 16)
        for line in output_of(args.nm, "--defined-only", args.lib).splitlines()
    }
    for name in CALLED:
        harness.check(symbols[name] < FIRST, f"{name} lies at {symbols[name]}, beyond {FIRST}")


if __name__ == "__main__":
    main()
