# SPDX-License-Identifier: MIT
"""What the measured times say, and when they say nothing."""

import math
import re
import statistics
from dataclasses import dataclass
from typing import Iterable, Optional

from comparelib.allocators import BenchError
from comparelib.measure import Row

SUBJECT = "uslub"

# The bounds of --check.
SLOWER = 1.05  # than jemalloc, in any pair row
SMALL = 1024  # bytes; larger pairs are not held against the floor
FLOOR_MEAN = 1.3
FLOOR_WORST = 1.5
LOCK_MEAN = 1.03  # small pairs, against the same build without its lock
NESTED_WORST = 2.0  # a pair in a handler that found the class busy, against one that found it free

# With these among the peers --check judges all of the pair rows, or what the lock costs.
CHECKED_PEERS = {"jemalloc", "floor"}
LOCKLESS = "lockless"


@dataclass(frozen=True)
class Ratio:
    """uslub's time over a peer's: below 1 uslub is faster."""

    value: float  # of the medians over all rounds
    low: float  # of the rounds' own ratios; of many rounds the outermost do not count
    high: float

    @property
    def undecided(self) -> bool:
        """The spread is larger than the difference. In logarithms: 0.5 is as far from 1 as 2 is."""
        return math.log(self.high / self.low) >= abs(math.log(self.value))

    @property
    def slower(self) -> bool:
        """Beyond the tolerance, and in every single round."""
        return self.value > SLOWER and self.low > 1

    @property
    def suspect(self) -> bool:
        """Beyond the tolerance, yet some round says otherwise."""
        return self.value > SLOWER and self.low <= 1


def with_spread(value: float, rounds: Iterable[float]) -> Ratio:
    each = sorted(rounds)
    # The range of all rounds only ever widens: of every ten one falls off at either end.
    off = len(each) // 10
    return Ratio(value, each[off], each[-1 - off])


def ratio_of_times(ours: list[float], theirs: list[float]) -> Ratio:
    value = statistics.median(ours) / statistics.median(theirs)
    return with_spread(value, (a / b for a, b in zip(ours, theirs)))


def ratio(row: Row, peer: str) -> Optional[Ratio]:
    """None where the peer does not take part in the row."""
    theirs = row.times.get(peer)
    return ratio_of_times(row.times[SUBJECT], theirs) if theirs else None


def pair_size(row: Row) -> Optional[int]:
    """The size of a pair row by one thread in LIFO or random order."""
    found = re.fullmatch(r"pair/(?:lifo|random)/(\d+)", row.name)
    return int(found.group(1)) if found else None


def is_small_pair(row: Row) -> bool:
    size = pair_size(row)
    return size is not None and size <= SMALL


def group(row: Row) -> Optional[str]:
    """The line of the summary that a row belongs to; not for rows that compare no allocators."""
    family = row.name.split("/")[0]
    if family in ("control", "nested"):
        return None
    if family != "pair":
        return family
    if row.threads > 1:
        return "pair, all cores"
    size = int(row.name.split("/")[2])
    return f"pair, to {SMALL} B" if size <= SMALL else f"pair, above {SMALL} B"


def mean_ratio(rows: Iterable[Row], peer: str) -> Optional[Ratio]:
    """The geometric mean over the rows that the peer takes part in, and the rounds' own means."""
    pairs = [(row.times[SUBJECT], row.times[peer]) for row in rows if row.times.get(peer)]
    if not pairs:
        return None
    value = statistics.geometric_mean(ratio_of_times(*pair).value for pair in pairs)
    each = ([a / b for a, b in zip(*pair)] for pair in pairs)
    return with_spread(value, (statistics.geometric_mean(turn) for turn in zip(*each)))


def nested_ratios(rows: list[Row]) -> list[tuple[Row, Row, Ratio]]:
    """Each row of a handler that interrupted malloc or free, the one of a handler that interrupted
    neither, and the ratio of uslub's times in them."""
    outside = {r.process: r for r in rows if r.name.startswith("nested/outside/")}
    inside = [r for r in rows if r.name.startswith("nested/") and r not in outside.values()]
    return [
        (row, base, ratio_of_times(row.times[SUBJECT], base.times[SUBJECT]))
        for row, base in ((r, outside.get(r.process)) for r in inside) if base
    ]


def by_group(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        name = group(row)
        if name:
            groups.setdefault(name, []).append(row)
    return groups


@dataclass
class Verdict:
    """The outcome of --check."""

    facts: list[str]
    failures: list[str]
    suspects: list[str]
    doubtful: list[Row]  # more rounds may change what the check says of them
    clear: bool = False  # it fails, whatever the doubtful rows come to

    @property
    def passed(self) -> bool:
        return not self.failures


def rows_to_check(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """All pair rows, and those held against the floor; a check of nothing must not pass."""
    pairs = [row for row in rows if row.name.startswith("pair/")]
    small = [row for row in pairs if is_small_pair(row)]
    if not pairs or not small:
        raise BenchError("--check needs pair rows, small ones among them: the filter left none")
    return pairs, small


def check(rows: list[Row], peers: Iterable[str] = CHECKED_PEERS) -> Verdict:
    pairs, small = rows_to_check(rows)
    verdict = Verdict([], [], [], [])
    if CHECKED_PEERS <= set(peers):
        check_pairs(verdict, pairs)
        check_floor(verdict, small)
    if LOCKLESS in peers:
        check_lock(verdict, small)
    check_nested(verdict, rows)
    return verdict


def describe(row: Row, found: Ratio, peer: str) -> str:
    return (
        f"{row.title}: {found.value:.2f}x {peer}, by rounds {found.low:.2f} to {found.high:.2f}"
    )


def check_pairs(verdict: Verdict, pairs: list[Row]) -> None:
    ratios = [(row, needed(row, "jemalloc")) for row in pairs]
    slower = [describe(row, r, "jemalloc") for row, r in ratios if r.slower]
    verdict.doubtful += [row for row, r in ratios if r.value > SLOWER >= r.low]
    verdict.clear |= any(r.value > SLOWER and r.low > SLOWER for _, r in ratios)
    verdict.suspects += [describe(row, r, "jemalloc") for row, r in ratios if r.suspect]
    verdict.failures += [f"slower than jemalloc: {text}" for text in slower]
    verdict.facts.append(
        f"pairs against jemalloc: {len(pairs)} rows, {len(slower)} slower by more than "
        f"{SLOWER - 1:.0%}, {len(verdict.suspects)} more where the rounds disagree"
    )


def check_floor(verdict: Verdict, small: list[Row]) -> None:
    ratios = [(row, needed(row, "floor")) for row in small]
    mean = statistics.geometric_mean([r.value for _, r in ratios])
    worst_row, worst = max(ratios, key=lambda pair: pair[1].value)
    verdict.facts.append(
        f"pairs to {SMALL} B against the floor: {len(small)} rows, geometric mean {mean:.2f} "
        f"(bound {FLOOR_MEAN}), worst {worst.value:.2f} in {worst_row.title} (bound {FLOOR_WORST})"
    )
    if mean > FLOOR_MEAN:
        verdict.clear = True
        verdict.failures.append(f"small pairs are {mean:.2f}x the floor, above {FLOOR_MEAN}")
    above = [(row, r) for row, r in ratios if r.value > FLOOR_WORST]
    doubtful = [row for row, r in above if r.low <= FLOOR_WORST]
    verdict.doubtful += [row for row in doubtful if row not in verdict.doubtful]
    verdict.clear |= len(doubtful) < len(above)
    verdict.failures += [
        f"above {FLOOR_WORST}x the floor: {describe(row, r, 'floor')}" for row, r in above
    ]


def check_lock(verdict: Verdict, small: list[Row]) -> None:
    for row in small:
        needed(row, LOCKLESS)
    mean = mean_ratio(small, LOCKLESS)
    text = (
        f"pairs to {SMALL} B against the build without the lock: {len(small)} rows, geometric "
        f"mean {mean.value:.3f}, by rounds {mean.low:.3f} to {mean.high:.3f} (bound {LOCK_MEAN})"
    )
    verdict.facts.append(text)
    if mean.value <= LOCK_MEAN:
        return
    verdict.failures.append(f"the lock costs too much: {text}")
    if mean.low > LOCK_MEAN:
        verdict.clear = True
    else:
        verdict.doubtful += [row for row in small if row not in verdict.doubtful]


def check_nested(verdict: Verdict, rows: list[Row]) -> None:
    found = nested_ratios(rows)
    if not found:
        return
    worst_row, _, worst = max(found, key=lambda entry: entry[2].value)
    verdict.facts.append(
        f"pairs in a handler where the class is busy: {len(found)} rows, worst "
        f"{worst.value:.2f} times an ordinary one in {worst_row.title} (bound {NESTED_WORST})"
    )
    for row, base, r in found:
        if r.value <= NESTED_WORST:
            continue
        verdict.failures.append(
            f"above {NESTED_WORST} times an ordinary pair: {describe(row, r, base.title)}"
        )
        verdict.clear |= r.low > NESTED_WORST
        if r.low <= NESTED_WORST:
            # All of a process, or their rounds would not match.
            verdict.doubtful += [other for other in rows if other.process == row.process
                                 and other not in verdict.doubtful]


def needed(row: Row, peer: str) -> Ratio:
    found = ratio(row, peer)
    if found is None:
        raise BenchError(f"--check needs {peer} in row {row.name}, which was not measured")
    return found
