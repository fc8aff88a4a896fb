# SPDX-License-Identifier: MIT
"""Transparent huge pages, on the machine or in one process, for as long as a measurement takes."""

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, Optional

from comparelib import runs
from comparelib.allocators import BenchError
from comparelib.machine import first_match

SWITCH = Path("/sys/kernel/mm/transparent_hugepage/enabled")
MODES = ("madvise", "always", "never")


def current() -> str:
    return first_match(str(SWITCH), r"\[(\w+)\]")


def choose(wanted: str) -> list[str]:
    """The modes of a list with commas, the machine's own first. A kernel without huge pages has one."""
    own = current()
    if own not in MODES:
        return [own]
    names = wanted.split(",")
    strange = [name for name in names if name not in MODES]
    if strange:
        raise BenchError(f"--modes {wanted}: choose from {', '.join(MODES)}")
    return sorted(dict.fromkeys(names), key=lambda name: (name != own, MODES.index(name)))


def obstacle(mode: str) -> str:
    """Why @mode can't be had; empty where it can."""
    if mode in (current(), "never") or os.access(SWITCH, os.W_OK):
        return ""
    return f"{SWITCH} says {current()}, and only root can change it"


def disturbs(mode: str) -> bool:
    """Whether all programs of the machine have to bear it."""
    return mode not in (current(), "never")


@contextmanager
def switched(mode: str) -> Iterator[Optional[Callable[[], None]]]:
    """Within it huge pages are as @mode says. Yields what a child has to call before it runs.

    `never` is asked for by prctl, in the child alone. The others are the whole machine's: what was
    there is put back whatever happens, but for SIGKILL."""
    if obstacle(mode):
        raise BenchError(obstacle(mode))
    before = current()
    if mode == "never":
        yield None if before == "never" else runs.without_huge_pages
        return
    if mode == before:
        yield None
        warn_of_change(mode)
        return
    try:
        SWITCH.write_text(mode)
        yield None
        warn_of_change(mode)
    finally:
        SWITCH.write_text(before)


def warn_of_change(mode: str) -> None:
    if current() != mode:
        print(f"compare: another program has switched huge pages from {mode} to {current()}: what "
              "was measured meanwhile is worth nothing", file=sys.stderr)
