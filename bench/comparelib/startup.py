# SPDX-License-Identifier: MIT
"""The suite of starts: what a preloaded malloc adds to a program that does nothing."""

import argparse
import json
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Optional

from comparelib import allocators, common, machine, report, runs, series
from comparelib.allocators import Allocator, BenchError
from comparelib.figures import SUBJECT, Ratio, Verdict, ratio
from comparelib.measure import rotated, show_progress
from comparelib.series import Figures

BARE = "bare"
EMPTY = "empty"

# The bounds of --check.
TIME = 1.15  # of bare
RSS_KIB = 200  # more than bare

FULL_ROUNDS = 15
QUICK_ROUNDS = 7
STARTS = 100  # of each, in a round
# The pages of libraries that are mapped differ from run to run by what else the page cache has.
LOOKS = 9


def true_program() -> str:
    found = shutil.which("true", path="/usr/bin:/bin")
    if not found:
        raise BenchError("there is no program `true` on this machine")
    return found


# The rows, and what resident prints for each.
MEMORY = {"rss": "Rss:", "rss peak": "VmHWM:", "proportional": "Pss:", "anonymous": "Anonymous:"}


def kibibytes(output: runs.Output, key: str) -> int:
    value, unit = output.words(key)
    if unit != "kB":
        raise BenchError(f"resident: {key} {value} {unit}")
    return int(value)


class Suite:
    """The measurement itself."""

    def __init__(self, options: argparse.Namespace, rounds: int) -> None:
        self.options = options
        self.rounds = rounds
        own = common.everyone(options, common.choose_peers(options))
        self.spawn = common.find_built(options.build, "bench_spawn")
        self.resident = common.find_built(options.build, "bench_resident")
        empty = common.find_built(options.build, "libempty.so")
        # glibc without a preload is what all are compared with.
        self.everyone = [
            own[0], Allocator(BARE, None, "no preload: the C library's own malloc"),
            Allocator(EMPTY, empty, "bench/empty.c, a library without anything in it"),
            *(a for a in own[1:] if a.library),
        ]
        self.figures = Figures()

    def run(self) -> None:
        begin = time.monotonic()
        for turn in range(self.rounds):
            show_progress(turn, self.rounds, begin)
            with common.alone(self.options.lock):
                self.time_starts(rotated(self.everyone, turn))
                for allocator in rotated(self.everyone, turn):
                    self.note_memory(allocator)
        show_progress(self.rounds, self.rounds, begin)

    def time_starts(self, order: list[Allocator]) -> None:
        libraries = [str(a.library) if a.library else "-" for a in order]
        text = runs.execute([str(self.spawn), str(STARTS), true_program(), *libraries],
                            Allocator(BARE, None, "").environment())
        rows = runs.Output(text).table("start")
        for index, allocator in enumerate(order):
            own = [row[1:] for row in rows if row[0] == index]
            if len(own) != STARTS:
                raise BenchError(f"spawn: {len(own)} starts under {allocator.name}")
            wall, cpu, faults = (statistics.median(column) for column in zip(*own))
            self.figures.add("true wall", "us", allocator.name, wall / 1000)
            self.figures.add("true cpu", "us", allocator.name, cpu)
            self.figures.add("true faults", "", allocator.name, faults)

    def note_memory(self, allocator: Allocator) -> None:
        provider = Allocator("glibc", None, "") if allocator.name == EMPTY else allocator
        looks = [runs.run(self.resident, [], allocator, provider=provider) for _ in range(LOOKS)]
        for row, key in MEMORY.items():
            values = [kibibytes(output, key) for output in looks]
            self.figures.add(row, "KiB", allocator.name, statistics.median(values))


def judge(figures: Figures, peers: list[str]) -> Verdict:
    verdict = Verdict([], [], [], [])
    for name in ("true wall", "true cpu"):
        judge_time(verdict, ratio(figures.all["", name], BARE), name)
    for name in ("rss", "rss peak"):
        judge_memory(verdict, figures, name)
    series.hold_to_best(verdict, figures.all["", "true faults"], peers, 1.0)
    return verdict


def judge_time(verdict: Verdict, found: Optional[Ratio], name: str) -> None:
    if found is None:
        raise BenchError("--check needs starts without a preload, and there are none")
    text = (f"{name}: {found.value:.3f}x bare, by rounds {found.low:.3f} to {found.high:.3f} "
            f"(bound {TIME})")
    verdict.facts.append(text)
    if found.value > TIME:
        (verdict.failures if found.low > TIME else verdict.suspects).append(text)


def judge_memory(verdict: Verdict, figures: Figures, name: str) -> None:
    values = figures.all["", name].times
    more = [a - b for a, b in zip(values[SUBJECT], values[BARE])]
    median = statistics.median(more)
    text = (f"{name}: {median:.0f} KiB more than bare, by rounds {min(more):.0f} to "
            f"{max(more):.0f} (bound {RSS_KIB})")
    verdict.facts.append(text)
    if median > RSS_KIB:
        (verdict.failures if min(more) > RSS_KIB else verdict.suspects).append(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_arguments(parser, allocators.PACKAGES)
    parser.add_argument("--rounds", type=int, metavar="N",
                        help=f"rounds of {STARTS} starts of each (default: {FULL_ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="done in a minute")
    parser.add_argument("--check", action="store_true",
                        help=f"judge: at most {TIME} times bare and {RSS_KIB} KiB more, page "
                        "faults not above the best peer's")
    common.add_lock(parser)


def write_json(
    suite: Suite, where: dict[str, str], file: Path, verdict: Optional[Verdict]
) -> None:
    names = [a.name for a in suite.everyone[1:]]
    file.write_text(json.dumps({
        "format": 1,
        "suite": "startup",
        "machine": where,
        "allocators": series.allocators_record(suite.everyone),
        "effort": {"rounds": suite.rounds, "starts": STARTS},
        "rows": [series.record(f, names) for f in suite.figures.of()],
        "check": series.verdict_record(verdict),
    }, indent=1) + "\n")


def run(options: argparse.Namespace) -> int:
    rounds = common.choose_rounds(options, QUICK_ROUNDS if options.quick else FULL_ROUNDS)
    suite = Suite(options, rounds)
    where = machine.describe_machine()
    if machine.busy_warning():
        print(f"compare: {machine.busy_warning()}", file=sys.stderr)
    suite.run()
    names = [a.name for a in suite.everyone]
    peers = [name for name in names[1:] if name not in (BARE, EMPTY)]
    verdict = judge(suite.figures, peers) if options.check else None
    series.print_head(where, suite.everyone, f"{rounds} rounds of {STARTS} starts of each")
    series.print_table("A start and end of `true`, by posix_spawn",
                       suite.figures.of(prefix="true"), names)
    memory = [f for f in suite.figures.of() if not f.name.startswith("true")]
    series.print_table("A program that has allocated once, at its end", memory, names)
    if verdict:
        report.print_verdict(verdict)
    if options.json:
        write_json(suite, where, options.json, verdict)
    return 0 if verdict is None or verdict.passed else 1
