# SPDX-License-Identifier: MIT
"""The suite of resident memory: over time, of idle threads, after a peak, of each live object."""

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

from comparelib import allocators, common, hugepages, machine, report, runs, series
from comparelib.allocators import Allocator, BenchError
from comparelib.figures import SUBJECT, Verdict
from comparelib.measure import rotated, show_progress
from comparelib.series import Figures

MIB = 2**20
PAGE = 4096

# The bounds of --check.
IDLE_KIB = 64  # each of a thousand threads that allocated and freed a little
FAULTS = 1.02  # of the best peer's: two runs of one program differ by some

FEW_FAULTS = 1000  # fewer are not judged: a metadata page more or less is most of the difference

FAULTS_UNIT = "1000"
THREADS = 1000
SIZES = (16, 64, 250, 1000)
FULL_ROUNDS = 3
QUICK_ROUNDS = 3


@dataclass(frozen=True)
class Effort:
    """How much of each."""

    rounds: int
    seconds: int  # of a churn
    cycles: int  # of its phases
    churn_mib: int  # that live at most
    peak_mib: int
    most_objects: int
    most_live: int  # bytes of them


FULL = Effort(FULL_ROUNDS, 20, 3, 64, 256, 10**7, 2**30)
QUICK = Effort(QUICK_ROUNDS, 4, 1, 64, 64, 10**6, 2**28)


@dataclass(frozen=True)
class Case:
    """One process, and the figures that its output has. Main cases are run in every mode."""

    name: str
    program: str
    arguments: tuple[str, ...]
    read: Callable[["Case", runs.Output], list[tuple[str, str, float]]]
    main: bool = False
    curve: bool = False


def above_nothing(value: float) -> float:
    """Ratios need something to divide by."""
    return max(value, PAGE)


def read_churn(case: Case, output: runs.Output) -> list[tuple[str, str, float]]:
    points = output.table("at")
    if not points or any(len(point) != 4 for point in points):
        raise BenchError("churn printed no curve")
    rss = [point[3] for point in points]
    live = [point[2] for point in points]
    return [
        (f"{case.name} mean", "RSS/live", sum(rss) / sum(live)),
        (f"{case.name} worst", "RSS/live", max(r / n for r, n in zip(rss, live))),
        (f"{case.name} peak", "MiB", max(rss) / MIB),
        (f"{case.name} faults", FAULTS_UNIT, output.one("faults") / 1000),
    ]


def read_sleepers(case: Case, output: runs.Output) -> list[tuple[str, str, float]]:
    return [
        (case.name, "KiB", above_nothing(output.one("idle")) / THREADS / 1024),
        (f"{case.name} faults", "a thread", output.one("faults") / THREADS),
    ]


def read_peak(case: Case, output: runs.Output) -> list[tuple[str, str, float]]:
    after = [(f"{case.name} {second} s", "MiB", above_nothing(rss) / MIB)
             for second, rss in output.table("after")]
    return [
        (f"{case.name} top", "RSS/live", output.one("peak") / output.one("live")),
        *after,
        (f"{case.name} faults", FAULTS_UNIT, output.one("faults") / 1000),
    ]


def read_objects(case: Case, output: runs.Output) -> list[tuple[str, str, float]]:
    live = output.one("live")
    return [
        (case.name, "RSS/live", above_nothing(output.one("rss")) / live),
        (f"{case.name} faults", FAULTS_UNIT, max(output.one("faults"), 1) / 1000),
    ]


def churn_case(effort: Effort, threads: int) -> Case:
    name = f"churn x{threads}"
    arguments = (str(threads), str(effort.churn_mib), str(effort.cycles), str(effort.seconds))
    return Case(name, "churn", arguments, read_churn, main=threads == 2, curve=True)


def peak_case(effort: Effort, what: str, keep: int, kind: str) -> Case:
    return Case(f"peak/{what}/{kind}", "footprint",
                ("peak", str(effort.peak_mib), kind, str(keep)), read_peak,
                main=what == "all" and kind == "active")


def objects_cases(effort: Effort) -> list[Case]:
    cases = []
    for size in SIZES:
        count = 1000
        while count <= effort.most_objects and count * size <= effort.most_live:
            cases.append(Case(f"objects/{size}/{count:.0e}".replace("e+0", "e"), "footprint",
                              ("objects", str(count), str(size)), read_objects,
                              main=count == 10**6 and size in (16, 250)))
            count *= 10
    return cases


def all_cases(effort: Effort) -> list[Case]:
    return [
        churn_case(effort, 1),
        churn_case(effort, 2),
        *(Case(f"idle/{use}", "sleepers", (str(THREADS), use), read_sleepers)
          for use in ("touch", "little", "much")),
        *(peak_case(effort, what, keep, kind)
          for what, keep in (("all", 0), ("most", 20)) for kind in ("silent", "active")),
        *objects_cases(effort),
    ]


def seeded(case: Case, turn: int) -> list[str]:
    """The rounds differ in what is drawn; within a round all allocators have the same."""
    return [*case.arguments, str(turn + 1)] if case.read in (read_churn, read_peak) \
        else list(case.arguments)


@dataclass
class Measured:
    """What a run of the suite found."""

    figures: Figures
    curves: list[dict[str, Any]]
    modes: dict[str, str]  # why not, or empty


class Suite:
    """The measurement itself."""

    def __init__(self, options: argparse.Namespace, cases: list[Case], rounds: int) -> None:
        self.options = options
        self.rounds = rounds
        self.everyone = common.everyone(options, common.choose_peers(options))
        wanted = hugepages.choose(options.modes)
        self.found = Measured(Figures(), [], {m: hugepages.obstacle(m) for m in wanted})
        able = [mode for mode in wanted if not self.found.modes[mode]]
        self.turns = [(mode, case) for mode in able for case in cases
                      if case.main or mode == able[0]]

    def run(self) -> Measured:
        begin = time.monotonic()
        total = self.rounds * len(self.turns)
        for turn in range(self.rounds):
            for index, (mode, case) in enumerate(self.turns):
                show_progress(turn * len(self.turns) + index, total, begin)
                # What is resident no other program changes: only what others feel waits.
                lock = self.options.lock if hugepages.disturbs(mode) else None
                with common.alone(lock), hugepages.switched(mode) as prepare:
                    for allocator in rotated(self.everyone, turn + index):
                        self.measure(mode, case, allocator, turn, prepare)
        show_progress(total, total, begin)
        return self.found

    def measure(
        self, mode: str, case: Case, allocator: Allocator, turn: int,
        prepare: Optional[Callable[[], None]],
    ) -> None:
        program = common.find_built(self.options.build, f"bench_{case.program}")
        output = runs.run(program, seeded(case, turn), allocator, prepare)
        for name, unit, value in case.read(case, output):
            self.found.figures.add(name, unit, allocator.name, value, mode)
        if case.curve and turn == 0:
            self.found.curves.append({
                "name": case.name, "mode": mode, "allocator": allocator.name,
                "points": [point[1:] for point in output.table("at")],
            })


def judge(figures: Figures, peers: list[str]) -> Verdict:
    """Idle threads, and page faults: not theirs, which the KiB count, nor where there are few."""
    verdict = Verdict([], [], [], [])
    idle = [f for f in figures.all.values() if f.name in ("idle/touch", "idle/little")]
    faults = [f for f in figures.all.values() if f.unit == FAULTS_UNIT
              and max(f.times[SUBJECT]) * 1000 >= FEW_FAULTS]
    if not idle and not faults:
        raise BenchError("--check needs idle or faults rows: the filter left none")
    for figure in idle:
        series.hold_below(verdict, figure, IDLE_KIB)
    for figure in faults:
        series.hold_to_best(verdict, figure, peers, FAULTS)
    verdict.facts.append(f"page faults against the best peer's: {len(faults)} rows, "
                         f"bound {FAULTS}")
    return verdict


TABLES = (
    ("Over time: what lives changes in size and kind, most of it dies young", "churn"),
    (f"Idle: each of {THREADS} threads that allocated and freed, and now sleep", "idle"),
    ("After a peak: all freed, or all but 2 % (most); then silent, or active with little", "peak"),
    ("Live objects of SIZE bytes, so many: what each byte costs", "objects"),
)


def print_tables(found: Measured, everyone: list[Allocator]) -> None:
    names = [allocator.name for allocator in everyone]
    for mode, reason in found.modes.items():
        if reason:
            print(f"\nhuge pages {mode}: not measured: {reason}")
            continue
        for title, prefix in TABLES:
            series.print_table(f"[huge pages: {mode}] {title}",
                               found.figures.of(mode, prefix), names)


def write_json(
    file: Path, where: dict[str, str], everyone: list[Allocator], effort: dict[str, Any],
    found: Measured, verdict: Optional[Verdict],
) -> None:
    peers = [a.name for a in everyone[1:]]
    file.write_text(json.dumps({
        "format": 1,
        "suite": "memory",
        "machine": where,
        "allocators": series.allocators_record(everyone),
        "effort": effort,
        "modes": found.modes,
        "rows": [series.record(f, peers) for f in found.figures.all.values()],
        "curves": found.curves,
        "check": series.verdict_record(verdict),
    }, indent=1) + "\n")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_arguments(parser, allocators.PACKAGES)
    common.add_effort(parser, FULL_ROUNDS, "about eight minutes")
    common.add_lock(parser)
    parser.add_argument("--modes", default=",".join(hugepages.MODES), metavar="LIST",
                        help="transparent huge pages (default: %(default)s, the machine's own "
                        "first, with all rows)")
    parser.add_argument("--check", action="store_true",
                        help=f"judge: idle threads at most {IDLE_KIB} KiB each, page faults not "
                        "above the best peer's")


def run(options: argparse.Namespace) -> int:
    effort = QUICK if options.quick else FULL
    rounds = common.choose_rounds(options, effort.rounds)
    cases = common.choose(all_cases(effort), options.filter)
    if options.list:
        print("\n".join(case.name for case in cases))
        return 0
    suite = Suite(options, cases, rounds)
    where = machine.describe_machine()
    if machine.busy_warning():
        print(f"compare: {machine.busy_warning()}", file=sys.stderr)
    found = suite.run()
    verdict = judge(found.figures, [a.name for a in suite.everyone[1:]]) \
        if options.check else None
    text = (f"{rounds} rounds; churn of {effort.seconds} s with at most {effort.churn_mib} MiB "
            f"live, peak of {effort.peak_mib} MiB")
    series.print_head(where, suite.everyone, text)
    print_tables(found, suite.everyone)
    if verdict:
        report.print_verdict(verdict)
    if options.json:
        write_json(options.json, where, suite.everyone, vars(effort) | {"rounds": rounds},
                   found, verdict)
    return 0 if verdict is None or verdict.passed else 1
