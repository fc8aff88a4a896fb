# SPDX-License-Identifier: MIT
"""The allocators that compare knows: where each lies, its version, the environment it runs in."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional


class BenchError(Exception):
    """Something that keeps compare from measuring; its text goes to the user as it is."""


@dataclass(frozen=True)
class Packaged:
    """An allocator as Debian packages it."""

    soname: str
    package: str


PACKAGED = {
    "jemalloc": Packaged("libjemalloc.so.2", "libjemalloc2"),
    "mimalloc": Packaged("libmimalloc.so.2", "libmimalloc2.0"),
    "tcmalloc": Packaged("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
    "tbb": Packaged("libtbbmalloc_proxy.so.2", "libtbbmalloc2"),
}


@dataclass(frozen=True)
class Built:
    """An allocator that the build makes for the comparison alone."""

    file: str
    what: str


BUILT = {
    "floor": Built("libfloor.so", "bench/floor.c"),
    "lockless": Built("libuslub_lockless.so", "uslub built without its lock"),
    "masked": Built("libmasked.so", "the C library's, all signals masked around each call"),
}

# Those that a user can choose; whom the micro suite takes when nobody is named; all that can be.
PACKAGES = ["glibc", *PACKAGED]
USUAL = [*PACKAGES, "floor"]
PEERS = [*USUAL, *(name for name in BUILT if name not in USUAL)]

# Whatever tunes an allocator, or loads another: each runs as its package builds it.
TUNING = re.compile(r"^(MALLOC_|MIMALLOC_|TCMALLOC_|GLIBC_TUNABLES$|LD_|USLUB)")


@dataclass(frozen=True)
class Allocator:
    """One column of the comparison."""

    name: str
    library: Optional[Path]  # None: the C library's own
    version: str

    @property
    def single_threaded(self) -> bool:
        return self.name == "floor"

    @property
    def any_context(self) -> bool:
        """Whether every signal handler may call it."""
        return self.name in ("uslub", "masked")

    @property
    def interruptible(self) -> bool:
        """Whether such a handler can run in the middle of a call."""
        return self.name != "masked"

    def environment(self) -> dict[str, str]:
        env = {k: v for k, v in os.environ.items() if not TUNING.match(k)}
        if self.library:
            env["LD_PRELOAD"] = str(self.library)
        return env

    def copied(self, folder: Path) -> "Allocator":
        if self.library is None:
            return self
        copy = folder / f"{self.name}-{self.library.name}"
        shutil.copyfile(self.library, copy)
        return replace(self, library=own_library(copy))

    def provides(self, file: str) -> bool:
        """Whether a malloc from @file is this one: of a preload that fails, ld.so only warns."""
        if self.library is None:
            return Path(file).name.startswith(("libc.so", "libc-"))
        return os.path.exists(file) and os.path.samefile(file, self.library)


def output_of(*command: str) -> str:
    """What @command prints, or nothing where it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def find_library(soname: str) -> Optional[Path]:
    ldconfig = shutil.which("ldconfig", path=os.environ.get("PATH", "") + ":/sbin:/usr/sbin")
    listing = output_of(ldconfig, "-p") if ldconfig else ""
    found = re.findall(rf"^\s*{re.escape(soname)} \(.*\) => (\S+)$", listing, re.MULTILINE)
    machine = platform.machine()
    found += [f"/usr/lib/{machine}-linux-gnu/{soname}", f"/usr/lib64/{soname}"]
    return next((Path(f) for f in found if Path(f).is_file()), None)


def package_version(package: str) -> str:
    version = output_of("dpkg-query", "-W", "-f", "${Version}", package)
    return f"{package} {version}" if version else "version unknown"


def packaged(name: str) -> Allocator:
    known = PACKAGED[name]
    library = find_library(known.soname)
    if library is None:
        raise BenchError(
            f"{name} is missing: no {known.soname} on this machine. Install its package "
            f"(apt-get install {known.package}), or leave it out (--peers)."
        )
    return Allocator(name, library, package_version(known.package))


def own_library(path: Path) -> Path:
    if not path.is_file():
        raise BenchError(f"{path}: no such library")
    resolved = path.resolve()
    if re.search(r"[\s:]", str(resolved)):
        raise BenchError(f"{resolved}: LD_PRELOAD takes no path with a space or a colon in it")
    return resolved


@contextmanager
def copies(allocators: list[Allocator]) -> Iterator[list[Allocator]]:
    """Each library at a new place in the machine's memory. Where a file's pages lie can double the time of a row,
    and there they stay for as long as they are used: only among several places a ratio says something."""
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        # Some programs run as a user of their own.
        os.chmod(folder, 0o755)
        yield [allocator.copied(Path(folder)) for allocator in allocators]


def digest(library: Path) -> str:
    return "sha256 " + hashlib.sha256(library.read_bytes()).hexdigest()[:12]


def uslub(path: Path, source: Path) -> Allocator:
    library = own_library(path)
    commit = output_of("git", "-C", str(source), "describe", "--always", "--dirty")
    version = f"{library.name}, {digest(library)}" + (f", commit {commit}" if commit else "")
    return Allocator("uslub", library, version)


def peer(name: str, bench_dir: Path) -> Allocator:
    if name == "glibc":
        return Allocator(name, None, " ".join(platform.libc_ver()))
    if name in BUILT:
        library = own_library(bench_dir / BUILT[name].file)
        return Allocator(name, library, f"{BUILT[name].what}, {digest(library)}")
    return packaged(name)
