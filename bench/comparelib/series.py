# SPDX-License-Identifier: MIT
"""Figures with a unit, a value for each allocator and round: their tables, records and bounds."""

import statistics
from dataclasses import dataclass
from typing import Any, Iterable, Optional, Sequence

from comparelib.allocators import Allocator
from comparelib.figures import SUBJECT, Ratio, Verdict, ratio
from comparelib.measure import Row
from comparelib.report import cell, compact, ratio_record

NAME_WIDTH = 26
OWN_WIDTH = 10
CELL_WIDTH = 20


@dataclass
class Figure(Row):
    """A row whose values are not times, or not only."""

    unit: str = ""
    noise: float = 0  # what is measured of nothing at all: below twice that nothing can be said
    step: float = 0  # how coarse the instrument is
    mode: str = ""

    def add(self, allocator: str, value: float) -> None:
        self.times.setdefault(allocator, []).append(value)

    def median(self, allocator: str) -> Optional[float]:
        values = self.times.get(allocator)
        return statistics.median(values) if values else None

    def hidden(self, peer: str) -> bool:
        """Whether both values might be the machine's, or the difference the instrument's."""
        ours, theirs = (self.median(name) or 0.0 for name in (SUBJECT, peer))
        if self.noise > 0 and max(ours, theirs) < 2 * self.noise:
            return True
        return self.step > 0 and abs(ours - theirs) < 1.5 * self.step

    def best(self, peers: Iterable[str]) -> Optional[str]:
        """The peer with the least median."""
        known = [peer for peer in peers if self.times.get(peer)]
        return min(known, key=lambda peer: self.median(peer) or 0.0, default=None)


class Figures:
    """Figures by name, in the order in which they came."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, str], Figure] = {}

    def add(self, name: str, unit: str, allocator: str, value: float, mode: str = "") -> Figure:
        figure = self.all.setdefault((mode, name), Figure(name, unit=unit, mode=mode))
        figure.add(allocator, value)
        return figure

    def of(self, mode: str = "", prefix: str = "") -> list[Figure]:
        return [f for (m, name), f in self.all.items() if m == mode and name.startswith(prefix)]


def ratio_cell(figure: Figure, peer: str) -> str:
    found = ratio(figure, peer)
    text = cell(found)
    if found and figure.hidden(peer) and not text.endswith("?"):
        return text[:-1] + "?"
    return text


def print_head(where: dict[str, str], everyone: list[Allocator], effort: str) -> None:
    for key, value in where.items():
        print(f"{key + ':':<14}{value}")
    for allocator in everyone:
        print(f"{allocator.name + ':':<14}{allocator.version}")
    print(f"{'effort:':<14}{effort}")
    print(
        "\nOf each table the first half has the medians of the rounds, the second uslub/peer: the\n"
        "ratio of medians, and the least and greatest ratio of any round. Below 1 uslub has less.\n"
        "?  the spread is larger than the difference, or the machine's own is as large\n"
        "!  more by over 5 %, in every round"
    )


def print_table(
    title: str, figures: list[Figure], names: list[str], others: Sequence[str] = ()
) -> None:
    """@names: the allocators, uslub first; @others have values and are not compared."""
    if not figures:
        return
    columns = [*names, *others]
    print(f"\n{title}")
    print(f"{'':<{NAME_WIDTH}}" + "".join(f"{name:>{OWN_WIDTH}}" for name in columns))
    for figure in figures:
        medians = (figure.median(name) for name in columns)
        cells = "".join(f"{'-' if m is None else compact(m):>{OWN_WIDTH}}" for m in medians)
        print(f"{figure.name:<{NAME_WIDTH}}{cells} {figure.unit}")
    print_ratios(figures, names)


def print_ratios(figures: list[Figure], names: list[str]) -> None:
    peers = [name for name in names[1:] if any(ratio(f, name) for f in figures)]
    head = "".join(f"{'/ ' + peer:>{CELL_WIDTH - 5}}{'':5}" for peer in peers)
    print(f"{'':<{NAME_WIDTH}}{head}".rstrip())
    for figure in figures:
        cells = "".join(f"{ratio_cell(figure, peer):>{CELL_WIDTH}}" for peer in peers)
        print(f"{figure.name:<{NAME_WIDTH}}{cells}".rstrip())


def record(figure: Figure, peers: list[str]) -> dict[str, Any]:
    ratios = {peer: ratio(figure, peer) for peer in peers}
    return {
        "name": figure.name,
        "mode": figure.mode,
        "unit": figure.unit,
        "values": figure.times,
        "median": {name: statistics.median(v) for name, v in figure.times.items()},
        "ratios": {
            peer: ratio_record(r) | {"undecided": r.undecided or figure.hidden(peer)}
            for peer, r in ratios.items() if r
        },
    }


def allocators_record(everyone: list[Allocator]) -> dict[str, Any]:
    return {
        a.name: {"library": str(a.library) if a.library else None, "version": a.version}
        for a in everyone
    }


def verdict_record(verdict: Optional[Verdict]) -> Optional[dict[str, Any]]:
    if verdict is None:
        return None
    return {
        "passed": verdict.passed,
        "facts": verdict.facts,
        "failures": verdict.failures,
        "suspects": verdict.suspects,
    }


def describe(figure: Figure) -> str:
    return figure.name + (f" (huge pages: {figure.mode})" if figure.mode else "")


def hold_below(verdict: Verdict, figure: Figure, bound: float) -> None:
    """uslub's own value against a bound: it fails in every round, or it is in doubt."""
    values = figure.times[SUBJECT]
    text = (f"{describe(figure)}: {compact(statistics.median(values))} {figure.unit}, by rounds "
            f"{compact(min(values))} to {compact(max(values))} (bound {compact(bound)})")
    verdict.facts.append(text)
    if min(values) > bound:
        verdict.failures.append(text)
    elif statistics.median(values) > bound:
        verdict.suspects.append(text)


def hold_to_best(
    verdict: Verdict, figure: Figure, peers: list[str], bound: float
) -> Optional[Ratio]:
    """uslub's value against that of the peer who has the least."""
    best = figure.best(peers)
    found = ratio(figure, best) if best else None
    if best is None or found is None or found.value <= bound:
        return found
    text = (f"{describe(figure)}: {found.value:.3f}x {best}, the best peer; by rounds "
            f"{found.low:.3f} to {found.high:.3f} (bound {bound})")
    (verdict.failures if found.low > 1 else verdict.suspects).append(text)
    return found
