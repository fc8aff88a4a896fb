#!/usr/bin/env python3
"""Runs one program of misuse/ with each on_error and asserts the report and how it ends.

abort: one line, then SIGABRT. report: the same line, and the program lives on. ignore: silence.
"""

import re
import signal
import sys
from pathlib import Path

import harness

DOUBLE_FREE = "double free of {address}"
NO_START = "free of what is not the start of an object: {address}"
NOT_ALLOCATED = "free of what is not allocated: {address}"
NO_OBJECT = "realloc of what is not an object: {address}"
NOT_OURS = "free of memory that is not uslub's: {address}"
SMALL = r"kmalloc-\d+"

# program: the cache that the report names, and what it says
CASES = {
    "double_free_small": ("kmalloc-64", DOUBLE_FREE),
    "double_free_later": (SMALL, DOUBLE_FREE),
    "double_free_medium": (SMALL, DOUBLE_FREE),
    "double_free_last": (SMALL, DOUBLE_FREE),
    "double_free_large": ("large", NOT_ALLOCATED),
    # Its mapping is gone, and so is all knowledge of it.
    "double_free_huge": ("foreign", NOT_OURS),
    "double_free_other_thread": ("kmalloc-64", DOUBLE_FREE),
    "double_free_after_thread": ("kmalloc-64", DOUBLE_FREE),
    "double_free_by_thread": ("kmalloc-64", DOUBLE_FREE),
    # Whether the slab went back whole is the allocator's affair.
    "free_after_trim": (rf"(large|{SMALL})", f"({NOT_ALLOCATED}|{DOUBLE_FREE}|{NO_START})"),
    "interior_small": (SMALL, NO_START),
    "interior_odd": (SMALL, NO_START),
    "interior_medium": (SMALL, NO_START),
    "interior_large": ("large", NO_START),
    "interior_huge": ("large", NO_START),
    "never_allocated": (SMALL, f"({NO_START}|{DOUBLE_FREE})"),
    "realloc_freed": ("kmalloc-64", f"({DOUBLE_FREE}|{NO_OBJECT})"),
    "realloc_interior": (SMALL, NO_OBJECT),
    "realloc_wild": ("foreign", "realloc of memory that is not uslub's: {address}"),
    "stack_pointer": ("foreign", NOT_OURS),
    "thread_stack_pointer": ("foreign", NOT_OURS),
    "static_object": ("foreign", NOT_OURS),
    "wild_minus_one": ("foreign", NOT_OURS),
    "wild_one": ("foreign", NOT_OURS),
    "wild_noncanonical": ("foreign", NOT_OURS),
    "wild_unmapped": ("foreign", NOT_OURS),
    "wild_protected": ("foreign", NOT_OURS),
    "wild_file": ("foreign", NOT_OURS),
}


def report_pattern(cache, what, address, pid):
    return re.compile(rf"uslub: BUG {cache} \({pid}\): {what.format(address=address)}")


def named_address(done):
    found = re.search(r"^address (0x[0-9a-f]+)$", done.stdout, re.MULTILINE)
    harness.check(found, f"the program did not get to its mistake:\n{done.stdout}{done.stderr}")
    return found.group(1)


def check_report(done, cache, what):
    lines = done.own_lines()
    harness.check(len(lines) == 1, f"{len(lines)} lines on stderr instead of one:\n{done.stderr}")
    pattern = report_pattern(cache, what, named_address(done), done.pid)
    harness.check(
        pattern.fullmatch(lines[0]), f"the line is\n  {lines[0]}\nand not\n  {pattern.pattern}"
    )
    print(lines[0])


def check_aborted(done):
    harness.check(
        done.returncode == -signal.SIGABRT, f"ended with {done.returncode}, not by SIGABRT"
    )
    harness.check("survived" not in done.stdout, "the program went on after the abort")


def check_survived(done, mode):
    harness.check(
        done.returncode == 0 and "survived" in done.stdout,
        f"{mode}: ended with {done.returncode}:\n{done.stdout}{done.stderr}",
    )


def run_modes(args, program, case):
    cache, what = CASES[case]
    done = harness.run(args, [program])
    if done.returncode == harness.SKIP_CODE:
        harness.skip(done.stderr)
    check_report(done, cache, what)
    check_aborted(done)
    for options in ("on_error:abort", "foreign:report"):
        done = harness.run(args, [program], options)
        check_report(done, cache, what)
        check_aborted(done)
    done = harness.run(args, [program], "on_error:report")
    check_report(done, cache, what)
    check_survived(done, "report")
    done = harness.run(args, [program], "on_error:ignore")
    harness.check(not done.own_lines(), f"ignore, but it said:\n{done.stderr}")
    check_survived(done, "ignore")


def run_sweep(args, program, kind):
    """No single address is taken, whatever it looks like."""
    mode = "report" if kind == "interior" else "abort"
    done = harness.run(args, [program, kind], f"on_error:{mode},foreign:report")
    check_survived(done, mode)
    mistakes = int(re.search(r"mistakes (\d+)", done.stdout).group(1))
    reports = [line for line in done.own_lines() if line.startswith("uslub: BUG ")]
    print(f"{kind}: {mistakes} mistakes, {len(reports)} reports")
    harness.check(mistakes > 100, "the sweep was too short")
    harness.check(len(reports) == len(done.own_lines()), f"other lines:\n{done.stderr[:500]}")
    if kind == "interior":
        harness.check(len(reports) == mistakes, "not each was reported")


def main():
    parser = harness.parser(__doc__)
    parser.add_argument("program")
    parser.add_argument("--sweep", choices=("interior", "aliases"))
    args = parser.parse_args()
    harness.check(args.lib, "--lib is needed: other allocators do not report")
    if args.sweep:
        run_sweep(args, args.program, args.sweep)
    else:
        run_modes(args, args.program, re.sub(r"^.*misuse_", "", Path(args.program).name))


if __name__ == "__main__":
    sys.exit(main())
