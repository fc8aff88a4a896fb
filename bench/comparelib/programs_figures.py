# SPDX-License-Identifier: MIT
"""What the figures of whole programs say, and when they say nothing."""

import statistics
from dataclasses import dataclass, field
from typing import Iterable

from comparelib.allocators import BenchError
from comparelib.figures import SUBJECT, Ratio, mean_ratio, ratio
from comparelib.measure import Row
from comparelib.programs_run import Taken

# The bounds of --check.
SLOWER = 1.03  # than the best peer, in any program
FATTER = 1.10  # peak RSS of any program, against the leanest of LEANEST
SLACK = 1024  # KiB that a program may need more, if that is more than FATTER allows
LEAN_MEAN = ("jemalloc", "mimalloc")  # whose geometric mean of peak RSS must not be below uslub's
LEANEST = ("jemalloc", "mimalloc", "tcmalloc")

MEASURES = ("wall", "cpu", "rss", "faults")


@dataclass
class Result:
    """All that was measured of a program."""

    name: str
    taken: dict[str, list[Taken]] = field(default_factory=dict)

    def add(self, allocator: str, taken: Taken) -> None:
        self.taken.setdefault(allocator, []).append(taken)

    def row(self, measure: str) -> Row:
        """One of MEASURES, in the form that figures.py takes."""
        rounds = {name: [getattr(one, measure) for one in all_of]
                  for name, all_of in self.taken.items()}
        return Row(self.name, rounds)


@dataclass
class Verdict:
    """The outcome of --check."""

    facts: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)  # programs of which more rounds may say more

    @property
    def passed(self) -> bool:
        return not self.failures


def describe(found: Ratio) -> str:
    return f"{found.value:.3f}, by rounds {found.low:.3f} to {found.high:.3f}"


def best_of(row: Row, peers: Iterable[str]) -> str:
    """The peer with the smallest median."""
    return min(peers, key=lambda peer: statistics.median(row.times[peer]))


def missing_for_check(peers: Iterable[str]) -> list[str]:
    return sorted(set(LEANEST) - set(peers))


def check(results: list[Result], peers: list[str], time: str = "wall") -> Verdict:
    """@time: the measure that counts as time, wall or cpu."""
    if not results:
        raise BenchError("--check has no program to judge")
    missing = missing_for_check(peers)
    if missing:
        raise BenchError(f"--check needs {' and '.join(missing)} among the peers")
    verdict = Verdict()
    times = [result.row(time) for result in results]
    sizes = [result.row("rss") for result in results]
    for peer in peers:
        check_mean(verdict, f"{time} time", times, peer, level_is_enough=False)
    for peer in LEAN_MEAN:
        check_mean(verdict, "peak RSS", sizes, peer, level_is_enough=True)
    for row in times:
        check_time(verdict, row, peers, time)
    for row in sizes:
        check_size(verdict, row)
    return verdict


def check_mean(
    verdict: Verdict, what: str, rows: list[Row], peer: str, level_is_enough: bool
) -> None:
    """A mean has to be shown by its value: here the rows' doubts are no excuse."""
    mean = mean_ratio(rows, peer)
    text = f"{what}, geometric mean over {len(rows)} programs against {peer}: {describe(mean)}"
    verdict.facts.append(text)
    if mean.value > 1 or (mean.value == 1 and not level_is_enough):
        verdict.failures.append(f"not below {peer}: {text}" if not level_is_enough
                                else f"above {peer}: {text}")
    elif mean.undecided and mean.value != 1:
        verdict.undecided.append(text)


def check_time(verdict: Verdict, row: Row, peers: list[str], time: str) -> None:
    best = best_of(row, peers)
    found = ratio(row, best)
    if found.value <= SLOWER:
        return
    text = f"{row.name}: {time} time over {best}'s {describe(found)}"
    if found.low > 1 and not found.undecided:
        verdict.failures.append(f"more than {SLOWER - 1:.0%} slower than the best: {text}")
    else:
        verdict.undecided.append(text)
    if found.low <= SLOWER:
        verdict.doubtful.append(row.name)


def check_size(verdict: Verdict, row: Row) -> None:
    best = best_of(row, LEANEST)
    found = ratio(row, best)
    ours, theirs = (statistics.median(row.times[name]) for name in (SUBJECT, best))
    if ours <= theirs * FATTER or ours <= theirs + SLACK:
        return
    text = (f"{row.name}: peak RSS {ours / 1024:.1f} MiB over {best}'s {theirs / 1024:.1f}, "
            f"{describe(found)}")
    if found.low > 1 and not found.undecided:
        verdict.failures.append(
            f"above the leanest by more than {FATTER - 1:.0%} and {SLACK // 1024} MiB: {text}"
        )
    else:
        verdict.undecided.append(text)
    if found.low <= FATTER:
        verdict.doubtful.append(row.name)
