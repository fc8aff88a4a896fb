# SPDX-License-Identifier: MIT
"""git gc --aggressive on a clone of this project's repository, two threads."""

import shutil

from comparelib.allocators import BenchError

NEEDS = {"git": "git"}
RUNS = ("git",)
QUICK, FULL = 50, 1000
ENVIRONMENT = {"HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}


def setup(box):
    if not (box.source / ".git").exists():
        raise BenchError(f"{box.source} is no repository to clone")
    box.plain("git", "-c", "safe.directory=*", "clone", "--quiet", "--bare", "--no-local",
              f"file://{box.source}", box.input / "bare", environment=ENVIRONMENT)


def before(box):
    shutil.copytree(box.input / "bare", box.run / "bare")


def command(box):
    return ["git", "-C", box.run / "bare", "-c", "gc.auto=0", "-c", "pack.threads=2",
            "-c", f"gc.aggressiveWindow={box.size}", "gc", "--quiet", "--aggressive",
            "--prune=now"]


def result(box, _output):
    """Two threads don't always find the same deltas: the objects are to be the same, and whole."""
    box.plain("git", "-C", box.run / "bare", "fsck", "--full", environment=ENVIRONMENT)
    return box.plain("git", "-C", box.run / "bare", "cat-file", "--batch-all-objects",
                     "--batch-check", environment=ENVIRONMENT)
