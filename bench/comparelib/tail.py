# SPDX-License-Identifier: MIT
"""The suite of rare long calls: percentiles of malloc and of free under load."""

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comparelib import allocators, common, machine, runs, series
from comparelib.allocators import Allocator, BenchError
from comparelib.measure import rotated, show_progress
from comparelib.series import Figures

FULL_ROUNDS = 7
QUICK_ROUNDS = 5
FULL_CALLS = 10**7  # of each thread
QUICK_CALLS = 10**6

CONTROL = "control"
KINDS = {
    "malloc": "malloc",
    "use": "malloc, and writing to each page of the object",
    "free": "free",
}
RANKS = (50, 99, 99.9, 99.99)
# No call takes nothing, but one may take less than the clock can tell.
LEAST_NS = 0.5


@dataclass
class Histogram:
    """How many calls took so many ticks, and how long the longest took."""

    counts: Counter = field(default_factory=Counter)
    worst: int = 0

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def add(self, rows: list[list[int]], worst: int) -> None:
        for ticks, count in rows:
            self.counts[ticks] += count
        self.worst = max(self.worst, worst)

    def percentile(self, rank: float) -> int:
        """The least that @rank per cent of the calls did not exceed."""
        if not self.counts:
            raise BenchError("no calls were timed")
        left = rank / 100 * self.total
        for ticks, count in sorted(self.counts.items()):
            left -= count
            if left <= 0:
                return ticks
        return self.worst

    def curve(self, tick_ns: float) -> list[list[float]]:
        """Points of (share of calls that took longer, ns)."""
        above, points = self.total, []
        for ticks, count in sorted(self.counts.items()):
            above -= count
            if above:
                points.append([above / self.total, max(ticks * tick_ns, LEAST_NS)])
        points.append([1 / self.total, max(self.worst * tick_ns, LEAST_NS)])
        return points


def tick_ns(output: runs.Output) -> float:
    rows = output.table("span")
    if len(rows) != 1 or len(rows[0]) != 2 or min(rows[0]) <= 0:
        raise BenchError("tail printed no span")
    return rows[0][1] / rows[0][0]


class Suite:
    """The measurement itself."""

    def __init__(self, options: argparse.Namespace, rounds: int, calls: int) -> None:
        self.options = options
        self.rounds = rounds
        self.calls = calls
        self.everyone = common.everyone(options, common.choose_peers(options))
        self.figures = Figures()
        self.merged: dict[tuple[str, str], Histogram] = {}
        self.tick = 0.0
        self.clock_ns: list[float] = []
        self.step_ns = 0.0

    def run(self) -> None:
        # The control is the bare program with an allocation that does nothing.
        bare = Allocator(CONTROL, None, "")
        begin = time.monotonic()
        for turn in range(self.rounds):
            show_progress(turn, self.rounds, begin)
            with common.alone(self.options.lock):
                for allocator in rotated([*self.everyone, bare], turn):
                    self.measure(allocator)
        show_progress(self.rounds, self.rounds, begin)
        self.note_noise()

    def measure(self, allocator: Allocator) -> None:
        what = CONTROL if allocator.name == CONTROL else "malloc"
        program = common.find_built(self.options.build, "bench_tail")
        output = runs.run(program, [what, str(self.options.threads), str(self.calls)], allocator)
        self.tick = tick_ns(output)
        cost, step = (int(word) * self.tick for word in output.words("clock"))
        self.clock_ns.append(cost)
        self.step_ns = max(self.step_ns, step)
        for kind in KINDS:
            found = Histogram()
            found.add(output.table(f"call-{kind}"), output.one(f"worst-{kind}"))
            self.note(kind, allocator.name, found)
            merged = self.merged.setdefault((kind, allocator.name), Histogram())
            merged.add(output.table(f"call-{kind}"), found.worst)

    def note(self, kind: str, name: str, found: Histogram) -> None:
        values = [(f"{kind}/{rank}", found.percentile(rank)) for rank in RANKS]
        for row, ticks in [*values, (f"{kind}/worst", found.worst)]:
            self.figures.add(row, "ns", name, max(ticks * self.tick, LEAST_NS))

    def note_noise(self) -> None:
        for figure in self.figures.of():
            figure.noise = figure.median(CONTROL) or 0.0
            if figure.noise <= LEAST_NS:
                figure.noise = 0.0
            figure.step = self.step_ns

    def curves(self) -> list[dict[str, Any]]:
        return [{"name": kind, "allocator": name, "points": found.curve(self.tick)}
                for (kind, name), found in self.merged.items()]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_arguments(parser, allocators.PACKAGES)
    parser.add_argument("--rounds", type=int, metavar="N",
                        help=f"rounds over all allocators (default: {FULL_ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="done in a minute or two")
    parser.add_argument("--threads", type=int, default=2, metavar="N",
                        help="how many load the allocator (default: %(default)s)")
    parser.add_argument("--check", action="store_true",
                        help="accepted for compare all: no bound is set for this suite")
    common.add_lock(parser)


def write_json(suite: Suite, where: dict[str, str], file: Path) -> None:
    peers = [a.name for a in suite.everyone[1:]]
    file.write_text(json.dumps({
        "format": 1,
        "suite": "tail",
        "machine": where,
        "allocators": series.allocators_record(suite.everyone),
        "effort": {"rounds": suite.rounds, "calls": suite.calls,
                   "threads": suite.options.threads},
        "clock_ns": suite.clock_ns,
        "step_ns": suite.step_ns,
        "rows": [series.record(f, peers) for f in suite.figures.of()],
        "curves": suite.curves(),
        "check": None,
    }, indent=1) + "\n")


def print_tables(suite: Suite) -> None:
    names = [a.name for a in suite.everyone]
    for kind in KINDS:
        series.print_table(f"{KINDS[kind]}: what 50, 99, ... per cent of the calls don't exceed",
                           suite.figures.of(prefix=f"{kind}/"), names, [CONTROL])
    print(f"\nThe clock's own {sum(suite.clock_ns) / len(suite.clock_ns):.0f} ns are taken off; "
          f"its steps are {suite.step_ns:.0f} ns. control: the same loop,\nand no allocator. A "
          "question mark has what differs by a step or less, and what is below twice the control.")
    if suite.options.check:
        print("\ncheck: no bound is set for this suite: nothing was judged")


def run(options: argparse.Namespace) -> int:
    rounds = common.choose_rounds(options, QUICK_ROUNDS if options.quick else FULL_ROUNDS)
    suite = Suite(options, rounds, QUICK_CALLS if options.quick else FULL_CALLS)
    where = machine.describe_machine()
    if machine.busy_warning():
        print(f"compare: {machine.busy_warning()}", file=sys.stderr)
    suite.run()
    series.print_head(where, suite.everyone,
                      f"{rounds} rounds, {suite.calls} replacements in each of "
                      f"{options.threads} threads")
    print_tables(suite)
    if options.json:
        write_json(suite, where, options.json)
    return 0
