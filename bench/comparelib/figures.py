# SPDX-License-Identifier: MIT
"""What the measured times say, and when they say nothing."""

import math
import re
import statistics
from dataclasses import dataclass
from typing import Iterable, Optional

from comparelib.allocators import PACKAGES, BenchError
from comparelib.measure import Row

SUBJECT = "uslub"

# The bounds of --check.
SLOWER = 1.05  # than the best peer, in any row
MEAN = 0.9  # of every peer's time, over all rows
SMALL = 1024  # bytes; larger pairs are not held against the floor
FLOOR_MEAN = 1.15
FLOOR_WORST = 1.5
LOCK_MEAN = 1.03  # small pairs, against the same build without its lock
NESTED_WORST = 2.0  # a pair in a handler that found the class busy, against one that found it free
MASKED_LEAST = 50  # times as fast as the same pair behind masked signals

# With these among the peers --check judges all rows, with the last one what the lock costs.
FLOOR = "floor"
MASKED = "masked"
CHECKED_PEERS = {*PACKAGES, FLOOR, MASKED}
LOCKLESS = "lockless"

# Fewer page faults than one in so many operations are left out of the tables.
FAULTS_SHOWN = 1000


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


def rows_to_check(rows: list[Row]) -> list[Row]:
    """Those held against the floor; a check of nothing must not pass."""
    small = [row for row in rows if is_small_pair(row)]
    if not small:
        raise BenchError("--check needs pair rows, small ones among them: the filter left none")
    return small


def judged(rows: Iterable[Row]) -> list[Row]:
    """Those that compare allocators."""
    return [row for row in rows if group(row)]


def check(rows: list[Row], peers: Iterable[str] = CHECKED_PEERS) -> Verdict:
    small = rows_to_check(rows)
    verdict = Verdict([], [], [], [])
    if CHECKED_PEERS <= set(peers):
        check_rows(verdict, judged(rows))
        check_means(verdict, judged(rows))
        check_floor(verdict, small)
        check_masked(verdict, rows)
        note_faults(verdict, rows)
    if LOCKLESS in peers:
        check_lock(verdict, small)
    check_nested(verdict, rows)
    return verdict


def describe(row: Row, found: Ratio, peer: str) -> str:
    return (
        f"{row.title}: {found.value:.2f}x {peer}, by rounds {found.low:.2f} to {found.high:.2f}"
    )


def best_peer(row: Row) -> str:
    """The fastest of the packaged ones."""
    for peer in PACKAGES:
        needed(row, peer)
    return min(PACKAGES, key=lambda peer: statistics.median(row.times[peer]))


def check_rows(verdict: Verdict, rows: list[Row]) -> None:
    found = [(row, best_peer(row)) for row in rows]
    ratios = [(row, peer, needed(row, peer)) for row, peer in found]
    slower = [describe(row, r, peer) for row, peer, r in ratios if r.slower]
    verdict.doubtful += [row for row, _, r in ratios if r.value > SLOWER >= r.low]
    verdict.clear |= any(r.value > SLOWER and r.low > SLOWER for *_, r in ratios)
    verdict.suspects += [describe(row, r, peer) for row, peer, r in ratios if r.suspect]
    verdict.failures += [f"slower than the best peer: {text}" for text in slower]
    verdict.facts.append(
        f"against the best peer of each row: {len(rows)} rows, {len(slower)} slower by more than "
        f"{SLOWER - 1:.0%}, {len(verdict.suspects)} more where the rounds disagree"
    )


def check_means(verdict: Verdict, rows: list[Row]) -> None:
    for peer in PACKAGES:
        mean = mean_ratio(rows, peer)
        text = (
            f"{mean.value:.3f} of {peer}'s time over {len(rows)} rows, by rounds "
            f"{mean.low:.3f} to {mean.high:.3f} (bound {MEAN})"
        )
        verdict.facts.append(f"geometric mean: {text}")
        if mean.value > MEAN:
            verdict.failures.append(f"not ahead of {peer} by enough: {text}")
            verdict.clear |= mean.low > MEAN


def check_floor(verdict: Verdict, small: list[Row]) -> None:
    ratios = [(row, needed(row, FLOOR)) for row in small]
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


def doubt_process(verdict: Verdict, rows: list[Row], row: Row) -> None:
    """All rows of a process, or their rounds would not match."""
    verdict.doubtful += [other for other in rows if other.process == row.process
                         and other not in verdict.doubtful]


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
            doubt_process(verdict, rows, row)


def masked_ratios(rows: list[Row]) -> list[tuple[Row, Ratio]]:
    """Each row of an interrupted call, and uslub's time in it over that of a pair behind masked
    signals, which is never interrupted: its row outside stands for all."""
    return [
        (row, ratio_of_times(row.times[SUBJECT], base.times[MASKED]))
        for row, base, _ in nested_ratios(rows) if base.times.get(MASKED)
    ]


def check_masked(verdict: Verdict, rows: list[Row]) -> None:
    found = masked_ratios(rows)
    if not found:
        if nested_ratios(rows):
            raise BenchError("--check needs pairs behind masked signals, which were not measured")
        return
    worst_row, worst = max(found, key=lambda entry: entry[1].value)
    verdict.facts.append(
        f"interrupted pairs against masked signals: {len(found)} rows, at least "
        f"{1 / worst.value:.0f} times as fast, in {worst_row.title} (bound {MASKED_LEAST})"
    )
    for row, r in found:
        if r.value * MASKED_LEAST <= 1:
            continue
        verdict.failures.append(
            f"less than {MASKED_LEAST} times as fast as masked signals: {row.title}, "
            f"{1 / r.value:.0f} times, by rounds {1 / r.high:.0f} to {1 / r.low:.0f}"
        )
        verdict.clear |= r.low * MASKED_LEAST > 1
        if r.low * MASKED_LEAST <= 1:
            doubt_process(verdict, rows, row)


def median_faults(row: Row) -> dict[str, float]:
    """Page faults of an operation, by allocator."""
    return {name: statistics.median(each) for name, each in row.faults.items() if each}


def rows_with_faults(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if any(n * FAULTS_SHOWN >= 1 for n in median_faults(row).values())]


def more_faults(row: Row) -> bool:
    """Than the best of the packaged peers, by more than rounding and start-up explain."""
    faults = median_faults(row)
    best = min(faults.get(peer, math.inf) for peer in PACKAGES)
    return faults.get(SUBJECT, 0) > best * SLOWER + 1 / FAULTS_SHOWN


def note_faults(verdict: Verdict, rows: list[Row]) -> None:
    some = rows_with_faults(judged(rows))
    more = [row.title for row in some if more_faults(row)]
    verdict.facts.append(
        f"page faults: {len(some)} rows have any; in {len(more)} uslub has more than the best peer"
        + (f": {', '.join(more)}" if more else "")
    )


def needed(row: Row, peer: str) -> Ratio:
    found = ratio(row, peer)
    if found is None:
        raise BenchError(f"--check needs {peer} in row {row.name}, which was not measured")
    return found
