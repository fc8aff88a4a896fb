# SPDX-License-Identifier: MIT
"""Runs the bench's own programs, and reads the lines of words and numbers that they print."""

import ctypes
import os
import signal
import subprocess
from pathlib import Path
from typing import Callable, Optional

from comparelib.allocators import Allocator, BenchError

# Far more than any of them takes.
TIMEOUT = 600

PR_SET_THP_DISABLE = 41


class Output:
    """Lines of a key and its values; a key may come many times."""

    def __init__(self, text: str) -> None:
        self.lines = [line.split() for line in text.splitlines() if line.strip()]

    def words(self, key: str) -> list[str]:
        found = [line[1:] for line in self.lines if line[0] == key and len(line) > 1]
        if len(found) != 1:
            raise BenchError(f"unexpected output: {len(found)} lines begin with {key}")
        return found[0]

    def one(self, key: str) -> int:
        return self.table(key)[0][0] if self.words(key) else 0

    def table(self, key: str) -> list[list[int]]:
        try:
            return [[int(word) for word in line[1:]] for line in self.lines if line[0] == key]
        except ValueError as error:
            raise BenchError(f"unexpected output: {error}") from error


def without_huge_pages() -> None:
    """In the child; exec keeps it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0:
        os._exit(4)


def execute(
    command: list[str], environment: dict[str, str], prepare: Optional[Callable[[], None]] = None,
    timeout: int = TIMEOUT,
) -> str:
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True,
                              timeout=timeout, check=False, preexec_fn=prepare)
    except OSError as error:
        raise BenchError(f"{command[0]}: cannot run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{command[0]}: no end after {timeout} s") from error
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise BenchError(f"died of {name}. {done.stderr[-500:].strip()}")
    if done.returncode > 0:
        raise BenchError(f"exit status {done.returncode}. {done.stderr[-500:].strip()}")
    return done.stdout


def run(
    program: Path, arguments: list[str], allocator: Allocator,
    prepare: Optional[Callable[[], None]] = None, provider: Optional[Allocator] = None,
) -> Output:
    """What @program prints with @allocator preloaded, whose malloc, or @provider's, it must have had."""
    where = f"{program.name} {' '.join(arguments)} under {allocator.name}"
    try:
        output = Output(execute([str(program), *arguments], allocator.environment(), prepare))
        file = output.words("malloc")[0]
    except BenchError as error:
        raise BenchError(f"{where}: {error}") from error
    if not (provider or allocator).provides(file):
        raise BenchError(f"{where}: malloc came from {file}: the preload had no effect")
    return output
