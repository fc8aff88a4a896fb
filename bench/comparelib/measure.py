# SPDX-License-Identifier: MIT
"""Runs the benchmark binary: a process for every row, allocator and round.

README.md and ROWS.md say what the rows are.
"""

import json
import re
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from comparelib.allocators import Allocator, BenchError, copies
from comparelib.runs import execute

# Far more than any row takes: a hang is to be reported, not waited for.
PROCESS_TIMEOUT = 180

# To so many bytes nested pairs are held against masked signals.
MASKED_SIZES = 1024

# For each object of a heap row: 16 in use, a header, the table, and some to spare.
HEAP_BYTES = 56

# What Google Benchmark adds to the name of a row.
SUFFIXES = re.compile(
    r"(/iterations:\d+)?(/repeats:\d+)?(/process_time)?(/real_time)?(/threads:\d+)?$"
)


class Figure(NamedTuple):
    """Of one row, in one process."""

    time: float  # ns per operation
    faults: float  # pages per operation


@dataclass
class Row:
    """One workload at one size, and what it took, by allocator: a figure for each round."""

    name: str
    times: dict[str, list[float]] = field(default_factory=dict)  # ns per operation
    faults: dict[str, list[float]] = field(default_factory=dict)  # pages per operation

    @property
    def threads(self) -> int:
        found = re.search(r"/threads:(\d+)$", self.name)
        return int(found.group(1)) if found else 1

    @property
    def title(self) -> str:
        """The name without Google Benchmark's suffixes: pair/lifo/64, pair/lifo/64 x2."""
        base = SUFFIXES.sub("", self.name)
        return base if self.threads == 1 else f"{base} x{self.threads}"

    @property
    def process(self) -> str:
        """Rows with the same answer are measured in one process, for they are compared."""
        nested = re.fullmatch(r"nested/\w+/(\d+)", self.name)
        return f"nested/{nested.group(1)}" if nested else self.name

    def is_for(self, allocator: Allocator) -> bool:
        if allocator.any_context and not allocator.interruptible:
            # Slow, and here for this comparison alone.
            found = re.fullmatch(r"nested/outside/(\d+)", self.name)
            return bool(found) and int(found.group(1)) <= MASKED_SIZES
        if self.name.startswith("nested/"):
            return allocator.any_context
        if self.name.startswith("threads/"):
            return not allocator.single_threaded
        return self.threads == 1 or not allocator.single_threaded


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    rounds: int
    repetitions: int  # in each process; their median counts
    seconds: float  # for each repetition


def run_binary(binary: Path, allocator: Allocator, arguments: list[str]) -> str:
    return execute([str(binary), *arguments], allocator.environment(), timeout=PROCESS_TIMEOUT)


def memory_needed(row: Row) -> int:
    """What an allocator and the harness may take for the objects of a heap row."""
    found = re.match(r"heap/(\d+)", row.name)
    return int(found.group(1)) * HEAP_BYTES if found else 0


def memory_available() -> int:
    found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found.group(1)) * 1024 if found else 0


def those_that_fit(rows: list[Row]) -> list[Row]:
    """Without those for which the memory does not suffice, which are named."""
    available = memory_available()
    large = [row for row in rows if memory_needed(row) > available]
    for row in large:
        print(f"{row.title} is left out: it needs {memory_needed(row) / 2**30:.1f} GiB of memory, "
              f"{available / 2**30:.1f} are available", file=sys.stderr)
    return [row for row in rows if row not in large]


def list_rows(binary: Path, pattern: str, full: bool = False) -> list[Row]:
    """The rows that match; with @full also those that take long or need much memory."""
    bare = Allocator("glibc", None, "")
    arguments = ["--benchmark_list_tests", *(["--full"] if full else [])]
    names = run_binary(binary, bare, arguments).split()
    return those_that_fit([Row(name) for name in names if re.search(pattern, name)])


def read_figure(output: str, row: Row, allocator: Allocator) -> Figure:
    """The medians of the repetitions in Google Benchmark's JSON, the time per thread."""
    try:
        result = json.loads(output)
        provider = result["context"]["malloc_provider"]
        runs = [b for b in result["benchmarks"]
                if b["run_type"] == "iteration" and b["run_name"] == row.name]
        refused = [b["error_message"] for b in runs if b.get("error_occurred")]
        done = [b for b in runs if not b.get("error_occurred")]
        rates = [b["items_per_second"] for b in done]
        faults = [b["faults"] / b["operations"] for b in done if b["operations"]]
    except (ValueError, KeyError) as error:
        raise BenchError(f"unexpected output of the benchmark: {error!r}") from error
    if not allocator.provides(provider):
        raise BenchError(f"malloc came from {provider}: the preload had no effect")
    if refused:
        raise BenchError(refused[0])
    if not rates or min(rates) <= 0:
        raise BenchError("the benchmark reported no operations")
    time_taken = row.threads * 1e9 / statistics.median(rates)
    return Figure(time_taken, statistics.median(faults) if faults else 0.0)


def measure_once(
    binary: Path, rows: list[Row], allocator: Allocator, effort: Effort
) -> list[Figure]:
    """A figure for each of the rows, in one process."""
    names = [row.name for row in rows]
    # A pair behind masked signals takes long enough for one to do.
    repetitions = effort.repetitions if allocator.interruptible else 1
    arguments = [
        f"--benchmark_filter=^({'|'.join(names)})$",
        f"--benchmark_repetitions={repetitions}",
        f"--benchmark_min_time={effort.seconds}",
        "--benchmark_format=json",
        "--full",
    ]
    try:
        output = run_binary(binary, allocator, arguments)
        return [read_figure(output, row, allocator) for row in rows]
    except BenchError as error:
        raise BenchError(f"row {' '.join(names)} under {allocator.name}: {error}") from error


def contenders(rows: list[Row], allocators: list[Allocator]) -> list[Allocator]:
    return [a for a in allocators if any(row.is_for(a) for row in rows)]


def by_process(rows: list[Row]) -> list[list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.process, []).append(row)
    return list(groups.values())


def rotated(items: list, by: int) -> list:
    by %= len(items)
    return items[by:] + items[:by]


def measure_group(
    binary: Path, group: list[Row], allocators: list[Allocator], effort: Effort
) -> None:
    for allocator in allocators:
        own = [row for row in group if row.is_for(allocator)]
        figures = measure_once(binary, own, allocator, effort)
        for row, figure in zip(own, figures):
            row.times.setdefault(allocator.name, []).append(figure.time)
            row.faults.setdefault(allocator.name, []).append(figure.faults)


def measure(binary: Path, rows: list[Row], allocators: list[Allocator], effort: Effort) -> None:
    """Fills in the rows. The allocators take turns at each row, so that slow drifts of the machine
    meet all of them; who begins changes with the row and the round, and so does where each lies."""
    begin = time.monotonic()
    groups = by_process(rows)
    total = effort.rounds * len(groups)
    for turn in range(effort.rounds):
        with copies(allocators) as fresh:
            for index, group in enumerate(groups):
                show_progress(turn * len(groups) + index, total, begin)
                measure_group(binary, group, rotated(contenders(group, fresh), turn + index),
                              effort)
    show_progress(total, total, begin)


def show_progress(done: int, total: int, begin: float) -> None:
    """A line that rewrites itself on a terminal; elsewhere one for each tenth."""
    spent = time.monotonic() - begin
    left = spent / done * (total - done) if done else 0
    text = f"measured {done} of {total} rows in {spent:.0f} s, {left:.0f} s left"
    if sys.stderr.isatty():
        print(f"\r{text}   ", end="" if done < total else "\n", file=sys.stderr, flush=True)
    elif done == total or (done and done * 10 // total != (done - 1) * 10 // total):
        print(text, file=sys.stderr, flush=True)
