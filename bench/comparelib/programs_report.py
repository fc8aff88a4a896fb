# SPDX-License-Identifier: MIT
"""The tables of whole programs on the terminal, and their JSON file."""

import json
import statistics
from pathlib import Path
from typing import Any, Optional

from comparelib.allocators import Allocator
from comparelib.figures import SUBJECT, Ratio, mean_ratio, ratio
from comparelib.programs_figures import FATTER, MEASURES, SLOWER, Result, Verdict
from comparelib.report import compact, ratio_record

NAME_WIDTH = 14
OWN_WIDTH = 9
CELL_WIDTH = 20

TITLES = {
    "wall": ("Time on the wall", "s", 1),
    "cpu": ("Processor time, user and system, of all processes", "s", 1),
    "rss": ("Peak resident memory of the largest process", "MiB", 1024),
    "faults": ("Page faults, minor and major, of all processes", "1000", 1000),
}
BOUNDS = {"wall": SLOWER, "cpu": SLOWER, "rss": FATTER, "faults": FATTER}


def mark(found: Ratio, bound: float) -> str:
    if found.undecided:
        return "?"
    return "!" if found.value > bound and found.low > 1 else " "


def cell(found: Optional[Ratio], bound: float) -> str:
    if found is None:
        return "-  "
    spread = f"{compact(found.low)}..{compact(found.high)}"
    return f"{compact(found.value)} {spread:>12} {mark(found, bound)}"


def print_head(
    machine: dict[str, str], allocators: list[Allocator], rounds: int, quick: bool
) -> None:
    for key, value in machine.items():
        print(f"{key + ':':<14}{value}")
    for allocator in allocators:
        print(f"{allocator.name + ':':<14}{allocator.version}")
    print(f"{'effort:':<14}{rounds} rounds, {'small' if quick else 'full'} inputs")


def print_legend() -> None:
    print(
        "\nFirst uslub's own figure, median of the rounds. Then uslub/peer: ratio of medians, and\n"
        "the least and greatest ratio of any round. Below 1 uslub takes less.\n"
        "?  the spread is larger than the difference   !  more, in every round: of time by over\n"
        f"   {SLOWER - 1:.0%}, of memory and faults by over {FATTER - 1:.0%}"
    )


def print_table(results: list[Result], peers: list[str], measure: str) -> None:
    title, unit, divisor = TITLES[measure]
    bound = BOUNDS[measure]
    head = f"{'':<{NAME_WIDTH}}{unit:>{OWN_WIDTH}}"
    print(f"\n{title}")
    print(head + "".join(f"{'/ ' + p:>{CELL_WIDTH - 5}}{'':5}" for p in peers).rstrip())
    rows = [result.row(measure) for result in results]
    for row in rows:
        own = compact(statistics.median(row.times[SUBJECT]) / divisor)
        cells = "".join(f"{cell(ratio(row, p), bound):>{CELL_WIDTH}}" for p in peers)
        print(f"{row.name:<{NAME_WIDTH}}{own:>{OWN_WIDTH}}{cells}".rstrip())
    cells = "".join(f"{cell(mean_ratio(rows, p), 1.0):>{CELL_WIDTH}}" for p in peers)
    print(f"{'geometric mean':<{NAME_WIDTH}}{'':{OWN_WIDTH}}{cells}".rstrip())


def print_tables(results: list[Result], peers: list[str]) -> None:
    print_legend()
    for measure in MEASURES:
        print_table(results, peers, measure)


def print_verdict(verdict: Verdict) -> None:
    print()
    for kind, lines in (("", verdict.facts), ("undecided: ", verdict.undecided),
                        ("FAILED: ", verdict.failures)):
        for line in lines:
            print(f"check: {kind}{line}")
    print("check: passed" if verdict.passed else f"check: failed ({len(verdict.failures)})")


def result_record(result: Result, peers: list[str]) -> dict[str, Any]:
    rows = {measure: result.row(measure) for measure in MEASURES}
    return {
        "name": result.name,
        "runs": {name: [vars(one) for one in taken] for name, taken in result.taken.items()},
        "ratios": {
            measure: {p: ratio_record(ratio(row, p)) for p in peers if ratio(row, p)}
            for measure, row in rows.items()
        },
    }


def mean_records(results: list[Result], peers: list[str]) -> dict[str, Any]:
    return {
        measure: {p: ratio_record(mean_ratio([r.row(measure) for r in results], p)) for p in peers}
        for measure in MEASURES
    }


def write_json(
    file: Path, machine: dict[str, str], allocators: list[Allocator], results: list[Result],
    rounds: int, quick: bool, verdict: Optional[Verdict],
) -> None:
    peers = [a.name for a in allocators if a.name != SUBJECT]
    record = {
        "format": 1,
        "suite": "programs",
        "machine": machine,
        "allocators": {
            a.name: {"library": str(a.library) if a.library else None, "version": a.version}
            for a in allocators
        },
        "effort": {"rounds": rounds, "quick": quick},
        "programs": [result_record(result, peers) for result in results],
        "means": mean_records(results, peers),
        "check": vars(verdict) | {"passed": verdict.passed} if verdict else None,
    }
    file.write_text(json.dumps(record, indent=1) + "\n")
