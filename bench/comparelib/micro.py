# SPDX-License-Identifier: MIT
"""The suite of single calls: pairs, bursts, rings and the like, each row by Google Benchmark."""

import argparse
import re
import sys
from pathlib import Path

from comparelib import allocators, common, figures, machine, measure, report
from comparelib.allocators import Allocator, BenchError

FULL = measure.Effort(rounds=5, repetitions=5, seconds=0.02)
QUICK = measure.Effort(rounds=5, repetitions=3, seconds=0.005)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_arguments(parser, [*allocators.USUAL, figures.MASKED])
    parser.add_argument("--rounds", type=int, metavar="N",
                        help=f"rounds over all rows (default: {FULL.rounds})")
    parser.add_argument("--quick", action="store_true", help="done in about ten minutes")
    parser.add_argument("--filter", default="", metavar="REGEX", help="only rows that match")
    parser.add_argument("--list", action="store_true", help="print the rows' names and end")
    parser.add_argument("--check", action="store_true",
                        help="judge all rows against the packaged peers, small pairs against "
                        "the floor, nested ones against masked signals; or what the lock costs "
                        "(--peers lockless)")


def choose_peers(options: argparse.Namespace) -> list[str]:
    names = common.choose_peers(options)
    missing = figures.CHECKED_PEERS - set(names)
    if options.check and missing and names != [figures.LOCKLESS]:
        raise BenchError(f"--check needs {' and '.join(sorted(missing))} among the peers")
    return names


def choose_effort(options: argparse.Namespace) -> measure.Effort:
    effort = QUICK if options.quick else FULL
    rounds = common.choose_rounds(options, effort.rounds)
    return measure.Effort(rounds, effort.repetitions, effort.seconds)


def choose_rows(options: argparse.Namespace, binary: Path) -> list[measure.Row]:
    try:
        rows = measure.list_rows(binary, options.filter, not options.quick)
    except re.error as error:
        raise BenchError(f"--filter {options.filter}: {error}") from error
    if not rows:
        raise BenchError(f"--filter {options.filter}: no row matches (--list shows them)")
    if options.check:
        figures.rows_to_check(rows)
    return rows


def judge(
    binary: Path, rows: list[measure.Row], everyone: list[Allocator], effort: measure.Effort
) -> figures.Verdict:
    """The verdict; where it hangs on rows that are in doubt, after more rounds of these."""
    peers = [allocator.name for allocator in everyone]
    verdict = figures.check(rows, peers)
    if verdict.clear or not verdict.doubtful:
        return verdict
    print(f"compare: {len(verdict.doubtful)} rows are in doubt, and measured again",
          file=sys.stderr)
    more = measure.Effort(2 * effort.rounds, effort.repetitions, effort.seconds)
    measure.measure(binary, verdict.doubtful, everyone, more)
    return figures.check(rows, peers)


def run(options: argparse.Namespace) -> int:
    binary = common.find_built(options.build, "uslub_bench")
    rows = choose_rows(options, binary)
    if options.list:
        print("\n".join(row.name for row in rows))
        return 0
    effort = choose_effort(options)
    peers = choose_peers(options)
    everyone = common.everyone(options, peers)
    where = machine.describe_machine()
    if machine.busy_warning():
        print(f"compare: {machine.busy_warning()}", file=sys.stderr)

    measure.measure(binary, rows, everyone, effort)
    verdict = judge(binary, rows, everyone, effort) if options.check else None

    report.print_head(where, everyone, effort)
    report.print_table(rows, peers)
    report.print_means(rows, peers)
    report.print_faults(rows, peers)
    report.print_nested(rows)
    if verdict:
        report.print_verdict(verdict)
    if options.json:
        report.write_json(options.json, where, everyone, effort, rows, verdict)
    return 0 if verdict is None or verdict.passed else 1
