# SPDX-License-Identifier: MIT
"""The table on the terminal, and the JSON file."""

import json
import statistics
from pathlib import Path
from typing import Any, Optional

from comparelib.allocators import Allocator
from comparelib.figures import (
    MASKED,
    SLOWER,
    SUBJECT,
    Ratio,
    Verdict,
    by_group,
    masked_ratios,
    mean_ratio,
    median_faults,
    nested_ratios,
    ratio,
    rows_with_faults,
)
from comparelib.measure import Effort, Row

NAME_WIDTH = 24
TIME_WIDTH = 10
CELL_WIDTH = 21


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


def in_columns(peers: list[str]) -> list[str]:
    """Who takes part in more than the nested rows."""
    return [peer for peer in peers if peer != MASKED]


def print_table(rows: list[Row], peers: list[str]) -> None:
    peers = in_columns(peers)
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
    peers = in_columns(peers)
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
    print_masked(rows)


def print_masked(rows: list[Row]) -> None:
    masked = masked_ratios(rows)
    if masked:
        print("\nHow many times as fast as a pair of the C library's behind masked signals")
    for row, r in masked:
        text = f"{1 / r.value:.0f}  {1 / r.high:.0f}..{1 / r.low:.0f}"
        print(f"{row.title:<{NAME_WIDTH}}{'':{TIME_WIDTH}}{text:>{CELL_WIDTH}}")


def print_faults(rows: list[Row], peers: list[str]) -> None:
    found = rows_with_faults(rows)
    if not found:
        return
    names = [SUBJECT, *in_columns(peers)]
    print("\nPage faults per thousand operations, where anybody has one or more")
    print(f"{'':<{NAME_WIDTH}}" + "".join(f"{name:>12}" for name in names))
    for row in found:
        faults = median_faults(row)
        cells = (compact(1000 * faults[n]) if faults.get(n) is not None else "-" for n in names)
        print(f"{row.title:<{NAME_WIDTH}}" + "".join(f"{cell:>12}" for cell in cells))


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
        "faults": row.faults,
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
        "suite": "micro",
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
