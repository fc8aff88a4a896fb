#!/usr/bin/env python3
"""USLUB=stats:1 prints the columns of /proc/slabinfo at exit, with true counts, and totals."""

import os
import re
import sys

import harness

COLUMNS = ["active_objs", "num_objs", "objsize", "objperslab", "pagesperslab"]
SLAB_COLUMNS = ["active_slabs", "num_slabs"]
COUNT, SIZE, LARGE_COUNT, LARGE_SIZE = 5000, 2900, 7, 10_000_000


def column_names(lines):
    heads = [line for line in lines if "<active_objs>" in line]
    harness.check(len(heads) == 1, f"{len(heads)} lines name the columns:\n" + "\n".join(lines))
    names = re.findall(r"<(\w+)>", heads[0])
    for name in COLUMNS + SLAB_COLUMNS:
        harness.check(name in names, f"no column {name} in: {heads[0]}")
    return names


def parse_rows(lines, names):
    """Rows as /proc/slabinfo has them: name, numbers, and words such as ': slabdata'."""
    rows = {}
    for line in lines:
        words = line.split()
        numbers = [int(word) for word in words[1:] if word.isdigit()]
        if len(numbers) == len(names):
            harness.check(words[0] not in rows, f"{words[0]} stands there twice")
            rows[words[0]] = dict(zip(names, numbers))
    harness.check(rows, "no rows:\n" + "\n".join(lines))
    return rows


def check_row(name, row):
    harness.check(row["active_objs"] <= row["num_objs"], f"{name}: more in use than there are")
    harness.check(row["active_slabs"] <= row["num_slabs"], f"{name}: more slabs in use than all")
    harness.check(
        row["num_objs"] <= row["num_slabs"] * row["objperslab"],
        f"{name}: more objects than its slabs hold",
    )
    harness.check(
        row["objsize"] * row["objperslab"] <= row["pagesperslab"] * os.sysconf("SC_PAGESIZE"),
        f"{name}: the slab is smaller than its objects",
    )
    if row["objsize"] <= 1 << 16 and re.fullmatch(r"kmalloc-\d+", name):
        harness.check(name == f"kmalloc-{row['objsize']}", f"{name} has {row['objsize']} bytes")


def number_behind(stdout, what):
    return int(re.search(rf"^{what} (\d+)$", stdout, re.MULTILINE).group(1))


def check_holder(rows, done):
    usable = number_behind(done.stdout, "small")
    row = rows.get(f"kmalloc-{usable}")
    harness.check(row, f"no row kmalloc-{usable} for objects of {usable} usable bytes")
    # The C library has a few objects of its own.
    harness.check(
        COUNT <= row["active_objs"] <= COUNT + 8,
        f"{row['active_objs']} objects in use of kmalloc-{usable}, {COUNT} are held",
    )
    print(f"kmalloc-{usable}: {row}")


def check_totals(lines):
    """Among the totals stand the bytes of the small objects, and of the large ones."""
    numbers = [int(n) for line in lines for n in re.findall(r"\b\d+\b", line)]
    for held in (COUNT * SIZE, LARGE_COUNT * LARGE_SIZE):
        near = [n for n in numbers if held <= n <= held * 1.125 + 500_000]
        harness.check(near, f"no total of about {held} bytes:\n" + "\n".join(lines))


def main():
    parser = harness.parser(__doc__)
    parser.add_argument("program")
    args = parser.parse_args()
    harness.check(args.lib, "--lib is needed")
    words = [args.program, *map(str, (COUNT, SIZE, LARGE_COUNT, LARGE_SIZE))]
    done = harness.run(args, words, "stats:1")
    harness.check(done.returncode == 0, f"ended with {done.returncode}:\n{done.stderr}")
    harness.check(done.stdout.endswith("ok\n"), "the table went to stdout")
    lines = done.own_lines()
    rows = parse_rows(lines, column_names(lines))
    for name, row in rows.items():
        check_row(name, row)
    check_holder(rows, done)
    check_totals(lines)
    silent = harness.run(args, words, "stats:0")
    harness.check(not silent.own_lines(), f"stats:0 prints:\n{silent.stderr}")


if __name__ == "__main__":
    sys.exit(main())
