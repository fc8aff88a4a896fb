# SPDX-License-Identifier: MIT
"""What the suites have in common: arguments, which allocators take part, one measurement at a time."""

import argparse
import fcntl
import re
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional, Sequence

from comparelib import allocators
from comparelib.allocators import Allocator, BenchError

SOURCE = Path(__file__).resolve().parent.parent.parent

# Fewer show no spread, and everything would look decided.
FEWEST_ROUNDS = 3


def add_arguments(parser: argparse.ArgumentParser, peers: Optional[Sequence[str]]) -> None:
    """What every suite understands; @peers are those that it compares with unless told. None: each
    suite takes its own."""
    parser.add_argument("--build", type=Path, default=SOURCE / "build" / "release", metavar="DIR",
                        help="build directory with the benchmarks (default: build/release)")
    parser.add_argument("--uslub", type=Path, metavar="PATH",
                        help="the library to judge (default: libuslub.so of the build)")
    if peers is not None:
        parser.add_argument("--peers", default=",".join(peers), metavar="LIST",
                            help=f"whom to compare with, of {', '.join(allocators.PEERS)} "
                            "(default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")


def add_lock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lock", type=Path, metavar="FILE",
                        help="hold an flock on FILE during a turn, and let go between turns: for a "
                        "machine that others measure on, too")


@contextmanager
def alone(lock: Optional[Path]) -> Iterator[None]:
    """Holds the lock, if there is one."""
    if lock is None:
        yield
        return
    with open(lock, "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build_command(build: Path) -> str:
    return f"cmake -S {SOURCE} -B {build} -DUSLUB_BENCH=ON && cmake --build {build}"


def find_built(build: Path, name: str) -> Path:
    """A file that the build makes in its directory bench."""
    built = build / "bench" / name
    if not built.is_file():
        raise BenchError(f"{built} is missing. Build it: {build_command(build)}")
    return built


def find_uslub(options: argparse.Namespace) -> Path:
    if options.uslub:
        return options.uslub
    places = [options.build / sub / "libuslub.so" for sub in ("", "preload", "lib")]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise BenchError(f"no libuslub.so in {options.build}: build it, or name it by --uslub")
    return found


def choose_peers(options: argparse.Namespace) -> list[str]:
    names = [name for name in options.peers.split(",") if name]
    for name in names:
        if name not in allocators.PEERS:
            raise BenchError(f"unknown peer {name}: choose from {', '.join(allocators.PEERS)}")
    if not names:
        raise BenchError("--peers names nobody")
    return names


def choose_rounds(options: argparse.Namespace, usual: int, fewest: int = FEWEST_ROUNDS) -> int:
    rounds = usual if options.rounds is None else options.rounds
    if rounds < fewest:
        raise BenchError(f"--rounds {rounds}: fewer than {fewest} show no spread")
    return rounds


def everyone(options: argparse.Namespace, peers: list[str]) -> list[Allocator]:
    subject = allocators.uslub(find_uslub(options), SOURCE)
    return [subject, *(allocators.peer(name, options.build / "bench") for name in peers)]


def add_effort(parser: argparse.ArgumentParser, rounds: int, quick: str) -> None:
    parser.add_argument("--rounds", type=int, metavar="N",
                        help=f"rounds over all rows (default: {rounds})")
    parser.add_argument("--quick", action="store_true", help=f"done in {quick}")
    parser.add_argument("--filter", default="", metavar="REGEX", help="only rows that match")
    parser.add_argument("--list", action="store_true", help="print the rows' names and end")


def choose(cases: list, pattern: str) -> list:
    """Those whose names match."""
    try:
        found = [case for case in cases if re.search(pattern, case.name)]
    except re.error as error:
        raise BenchError(f"--filter {pattern}: {error}") from error
    if not found:
        raise BenchError(f"--filter {pattern}: no row matches (--list shows them)")
    return found
