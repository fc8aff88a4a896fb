# SPDX-License-Identifier: MIT
"""The descriptions in bench/programs, and what they are given."""

import importlib.util
import os
import pwd
import random
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Optional, Union

from comparelib.allocators import TUNING, BenchError
from comparelib.common import SOURCE

DESCRIPTIONS = SOURCE / "bench" / "programs"

Word = Union[str, Path]


class BrokenRun(BenchError):
    """A run that did not do its work, so that its figures must not count."""


def clean_environment() -> dict[str, str]:
    """Nothing that tunes an allocator or that depends on whose shell this is."""
    kept = ("HOME", "TMPDIR", "TERM", "USER", "LOGNAME")
    environment = {k: v for k, v in os.environ.items() if k in kept and not TUNING.match(k)}
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return environment | {"PATH": path, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


@dataclass(frozen=True)
class Box:
    """Where a program works, and how much it is to do."""

    input: Path  # filled once by setup(), then only read
    run: Path  # the current directory of a run: empty when before() is called
    size: int  # QUICK or FULL of the description
    user: Optional[tuple[int, int]]  # for programs that refuse to be root
    source: Path = SOURCE  # the tree of this project

    def plain(self, *command: Word, stdin: str = "", environment: Optional[dict] = None) -> str:
        """What @command prints; with nothing preloaded, and as the description's USER."""
        become: dict[str, Any] = {}
        if self.user:
            become = {"user": self.user[0], "group": self.user[1], "extra_groups": []}
        try:
            done = subprocess.run(
                [str(word) for word in command], input=stdin, capture_output=True, text=True,
                check=False, timeout=600, cwd=self.run if self.run.is_dir() else self.input,
                env=clean_environment() | (environment or {}), **become,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise BenchError(f"{command[0]}: {error}") from error
        if done.returncode:
            raise BenchError(f"{command[0]}: status {done.returncode}. {done.stderr[-500:]}")
        return done.stdout

    def own(self, path: Path) -> None:
        """Gives all of @path to USER."""
        if self.user:
            for place, directories, files in os.walk(path):
                for name in [".", *directories, *files]:
                    os.chown(os.path.join(place, name), *self.user, follow_symlinks=False)


@dataclass(frozen=True)
class Program:
    """A description, loaded."""

    name: str
    module: ModuleType

    def get(self, name: str, otherwise: Any = None) -> Any:
        return getattr(self.module, name, otherwise)

    @property
    def about(self) -> str:
        return self.module.__doc__.strip().splitlines()[0]

    @property
    def is_server(self) -> bool:
        return self.get("server") is not None

    def environment(self) -> dict[str, str]:
        return clean_environment() | self.get("ENVIRONMENT", {})

    def missing(self) -> list[str]:
        """Packages whose command, as NEEDS gives it, is not on this machine."""
        path = clean_environment()["PATH"]
        return [package for package, command in self.module.NEEDS.items()
                if not (shutil.which(command, path=path) or Path(command).exists())]


def load(file: Path) -> Program:
    spec = importlib.util.spec_from_file_location(f"bench_program_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Program(file.stem.replace("_", "-"), module)


def load_all(pattern: str = "") -> list[Program]:
    found = [load(file) for file in sorted(DESCRIPTIONS.glob("*.py"))]
    return [program for program in found if re.search(pattern, program.name)]


def user_of(program: Program) -> Optional[tuple[int, int]]:
    name = program.get("USER")
    if not name or os.getuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        raise BenchError(f"{program.name} runs as the user {name}, whom nobody made") from error
    return entry.pw_uid, entry.pw_gid


SYLLABLES = "ka re mi to su no la ve di an er is on ta lo pe ri qua ste gra".split()


def vocabulary(chance: random.Random, count: int) -> list[str]:
    return ["".join(chance.choices(SYLLABLES, k=chance.randint(1, 5))) for _ in range(count)]


def prose(seed: int, words: int) -> str:
    """Text that is the same everywhere: frequent words and rare ones, in sentences and lines."""
    chance = random.Random(seed)
    known = vocabulary(chance, 20000)
    lines = []
    while words > 0:
        count = min(words, chance.randint(4, 16))
        picked = [known[int(chance.paretovariate(0.8)) % len(known)] for _ in range(count)]
        lines.append(" ".join(picked).capitalize() + ".")
        words -= count
    return "\n".join(lines) + "\n"
