# SPDX-License-Identifier: MIT
"""The table on the terminal, and the JSON file."""

import json
import statistics
from pathlib import Path
from typing import Any, Optional

from comparelib.allocators import Allocator
from comparelib.figures import (
    SLOWER,
    SUBJECT,
    Ratio,
    Verdict,
    by_group,
    mean_ratio,
    nested_ratios,
    ratio,
)
from comparelib.measure import Effort, Row

NAME_WIDTH = 24
TIME_WIDTH = 10
CELL_WIDTH = 20


def compact(value: float) -> str:
    """Three digits or so: 0.005, 0.94, 12.3, 145."""
    if value < 0.1:
        return f"{value:.3f}"
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def mark(found: Ratio) -> str:
    if found.undecided:
        return "?"
    return "!" if found.slower else " "


def cell(found: Optional[Ratio]) -> str:
    if found is None:
        return "-  "
    spread = f"{compact(found.low)}..{compact(found.high)}"
    return f"{compact(found.value)} {spread:>12} {mark(found)}"


def print_head(machine: dict[str, str], allocators: list[Allocator], effort: Effort) -> None:
    for key, value in machine.items():
        print(f"{key + ':':<14}{value}")
    for allocator in allocators:
        print(f"{allocator.name + ':':<14}{allocator.version}")
    print(
        f"{'effort:':<14}{effort.rounds} rounds, in each the median of {effort.repetitions} "
        f"repetitions of {effort.seconds} s or more"
    )


def print_table(rows: list[Row], peers: list[str]) -> None:
    print(
        "\nns: uslub's time for an operation, median of the rounds. Then uslub/peer: ratio of\n"
        "medians, and the least and greatest ratio of any round. Below 1 uslub is faster.\n"
        "?  the spread is larger than the difference   !  slower by more than "
        f"{SLOWER - 1:.0%}, in every round\n"
    )
    head = f"{'':<{NAME_WIDTH}}{'ns':>{TIME_WIDTH}}"
    print(head + "".join(f"{'/ ' + p:>{CELL_WIDTH - 5}}{'':5}" for p in peers).rstrip())
    for row in rows:
        time = compact(statistics.median(row.times[SUBJECT]))
        cells = "".join(f"{cell(ratio(row, p)):>{CELL_WIDTH}}" for p in peers)
        print(f"{row.title:<{NAME_WIDTH}}{time:>{TIME_WIDTH}}{cells}".rstrip())


def print_means(rows: list[Row], peers: list[str]) -> None:
    groups = by_group(rows)
    if not groups:
        return
    print("\nGeometric means, and the least and greatest of any round")
    for name, members in [*groups.items(), ("all", sum(groups.values(), []))]:
        cells = "".join(f"{cell(mean_ratio(members, p)):>{CELL_WIDTH}}" for p in peers)
        print(f"{name:<{NAME_WIDTH}}{len(members):>{TIME_WIDTH - 5}} rows{cells}".rstrip())
    print_undecided(rows, peers)


def print_nested(rows: list[Row]) -> None:
    found = nested_ratios(rows)
    if not found:
        return
    print("\nA pair in a handler that found the class busy, over one that interrupted neither")
    for row, _, r in found:
        print(f"{row.title:<{NAME_WIDTH}}{'':{TIME_WIDTH}}{cell(r):>{CELL_WIDTH}}".rstrip())


def print_undecided(rows: list[Row], peers: list[str]) -> None:
    found = [r for row in rows for r in (ratio(row, p) for p in peers) if r]
    undecided = sum(r.undecided for r in found)
    print(f"\n{undecided} of {len(found)} ratios are undecided: see the question marks")


def print_verdict(verdict: Verdict) -> None:
    print()
    for fact in verdict.facts:
        print(f"check: {fact}")
    for suspect in verdict.suspects:
        print(f"check: undecided: {suspect}")
    for failure in verdict.failures:
        print(f"check: FAILED: {failure}")
    print("check: passed" if verdict.passed else f"check: failed ({len(verdict.failures)})")


def ratio_record(found: Ratio) -> dict[str, Any]:
    return {
        "ratio": found.value,
        "low": found.low,
        "high": found.high,
        "undecided": found.undecided,
    }


def row_record(row: Row, peers: list[str]) -> dict[str, Any]:
    ratios = {p: ratio(row, p) for p in peers}
    return {
        "name": row.name,
        "threads": row.threads,
        "nanoseconds": row.times,
        "median": {name: statistics.median(times) for name, times in row.times.items()},
        "ratios": {p: ratio_record(r) for p, r in ratios.items() if r},
    }


def verdict_record(verdict: Verdict) -> dict[str, Any]:
    return {
        "passed": verdict.passed,
        "facts": verdict.facts,
        "failures": verdict.failures,
        "suspects": verdict.suspects,
    }


def nested_record(rows: list[Row]) -> list[dict[str, Any]]:
    return [
        {"name": row.name, "over": base.name, **ratio_record(found)}
        for row, base, found in nested_ratios(rows)
    ]


def write_json(
    file: Path,
    machine: dict[str, str],
    allocators: list[Allocator],
    effort: Effort,
    rows: list[Row],
    verdict: Optional[Verdict],
) -> None:
    peers = [a.name for a in allocators if a.name != SUBJECT]
    record = {
        "format": 1,
        "machine": machine,
        "allocators": {
            a.name: {"library": str(a.library) if a.library else None, "version": a.version}
            for a in allocators
        },
        "effort": vars(effort),
        "rows": [row_record(row, peers) for row in rows],
        "nested": nested_record(rows),
        "check": verdict_record(verdict) if verdict else None,
    }
    file.write_text(json.dumps(record, indent=1) + "\n")
