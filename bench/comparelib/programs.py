# SPDX-License-Identifier: MIT
"""The suite of whole programs on real input: bench/programs/README.md explains it."""

import argparse
import re
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from comparelib import (
    allocators, common, machine, programs_figures, programs_report, programs_run,
)
from comparelib.allocators import Allocator, BenchError, copies
from comparelib.measure import rotated, show_progress
from comparelib.programs_box import Program, load_all
from comparelib.programs_figures import Result, Verdict
from comparelib.programs_run import Workspace

FULL_ROUNDS = 5
QUICK_ROUNDS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_arguments(parser, allocators.PACKAGES)
    parser.add_argument("--rounds", type=int, metavar="N",
                        help=f"rounds over all programs (default: {FULL_ROUNDS}, "
                        f"{QUICK_ROUNDS} with --quick)")
    parser.add_argument("--quick", action="store_true",
                        help="small inputs: done in about five minutes")
    parser.add_argument("--filter", default="", metavar="REGEX", help="only programs that match")
    parser.add_argument("--list", action="store_true", help="print the programs and end")
    parser.add_argument("--check", action="store_true",
                        help="judge time and peak memory: exit status 1 where uslub falls short")
    parser.add_argument("--by", choices=("wall", "cpu"), default="wall",
                        help="the time that --check judges: on a machine with other work cpu is "
                        "the steadier (default: %(default)s)")
    common.add_lock(parser)


def choose_peers(options: argparse.Namespace) -> list[str]:
    names = common.choose_peers(options)
    unfit = [name for name in names if name not in allocators.PACKAGES]
    if unfit:
        raise BenchError(f"no program runs on {unfit[0]}: choose from "
                         f"{', '.join(allocators.PACKAGES)}")
    missing = programs_figures.missing_for_check(names)
    if options.check and missing:
        raise BenchError(f"--check needs {' and '.join(missing)} among the peers")
    return names


def choose_programs(options: argparse.Namespace) -> list[Program]:
    try:
        programs = load_all(options.filter)
    except re.error as error:
        raise BenchError(f"--filter {options.filter}: {error}") from error
    if not programs:
        raise BenchError(f"--filter {options.filter}: no program matches (--list shows them)")
    return programs


@dataclass
class Comparison:
    """The programs under everyone, and what was found so far."""

    space: Workspace
    programs: list[Program]
    everyone: list[Allocator]
    lock: Optional[Path]
    expected: dict[str, str] = field(default_factory=dict)  # each program's result
    results: dict[str, Result] = field(default_factory=dict)

    def verify(self) -> None:
        """Each program once under each allocator, unmeasured."""
        for index, program in enumerate(self.programs):
            print(f"verifying {program.name} ({index + 1} of {len(self.programs)})",
                  file=sys.stderr)
            for allocator in self.everyone:
                found = programs_run.verify(self.space, program, allocator)
                self.compare_result(program, allocator, found)

    def compare_result(self, program: Program, allocator: Allocator, found: str) -> None:
        if found != self.expected.setdefault(program.name, found):
            raise BenchError(f"{program.name} says something else under {allocator.name} than in "
                             f"its first run, under {self.everyone[0].name}")

    def measure(self, programs: list[Program], rounds: int) -> None:
        """Who begins changes with the program and the round, and where each lies with the round."""
        begin = time.monotonic()
        total = rounds * len(programs)
        for turn in range(rounds):
            with copies(self.everyone) as fresh:
                for index, program in enumerate(programs):
                    show_progress(turn * len(programs) + index, total, begin)
                    with common.alone(self.lock):
                        self.take_turn(program, rotated(fresh, turn + index))
        show_progress(total, total, begin)

    def take_turn(self, program: Program, allocators: list[Allocator]) -> None:
        result = self.results.setdefault(program.name, Result(program.name))
        for allocator in allocators:
            taken, found = programs_run.run_once(self.space, program, allocator)
            self.compare_result(program, allocator, found)
            result.add(allocator.name, taken)

    def judge(self, peers: list[str], by: str, rounds: int) -> Verdict:
        """Where programs are in doubt, after more rounds of these."""
        verdict = programs_figures.check(list(self.results.values()), peers, by)
        doubtful = [program for program in self.programs if program.name in verdict.doubtful]
        if not doubtful:
            return verdict
        print(f"compare: {len(doubtful)} programs are in doubt, and measured again",
              file=sys.stderr)
        self.measure(doubtful, 2 * rounds)
        return programs_figures.check(list(self.results.values()), peers, by)


def compare(options: argparse.Namespace, root: Path) -> int:
    programs = choose_programs(options)
    rounds = common.choose_rounds(options, QUICK_ROUNDS if options.quick else FULL_ROUNDS)
    peers = choose_peers(options)
    everyone = common.everyone(options, peers)
    where = machine.describe_machine()
    if machine.busy_warning():
        print(f"compare: {machine.busy_warning()}", file=sys.stderr)

    space = Workspace(root, options.quick)
    comparison = Comparison(
        space, programs, [space.stage(allocator) for allocator in everyone], options.lock)
    comparison.verify()
    comparison.measure(programs, rounds)
    verdict = comparison.judge(peers, options.by, rounds) if options.check else None

    results = list(comparison.results.values())
    programs_report.print_head(where, everyone, rounds, options.quick)
    programs_report.print_tables(results, peers)
    if verdict:
        programs_report.print_verdict(verdict)
    if options.json:
        programs_report.write_json(
            options.json, where, everyone, results, rounds, options.quick, verdict)
    return 0 if verdict is None or verdict.passed else 1


def run(options: argparse.Namespace) -> int:
    if options.list:
        for program in choose_programs(options):
            print(f"{program.name:<12} {program.about}")
        return 0
    with tempfile.TemporaryDirectory(prefix="uslub-programs-", ignore_cleanup_errors=True) as root:
        return compare(options, Path(root))
