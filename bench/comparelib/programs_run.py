# SPDX-License-Identifier: MIT
"""Runs a program under an allocator, and says what that took."""

import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from comparelib.allocators import Allocator, BenchError
from comparelib.programs_box import DESCRIPTIONS, Box, BrokenRun, Program, Word, user_of

# Far more than any program takes: a hang is to be reported, not waited for.
TIMEOUT = 300
BINDING = re.compile(r"binding file (\S+) \[0\] to (\S+) \[0\]: normal symbol `malloc'")


@dataclass(frozen=True)
class Taken:
    """What one run took. All but the wall: the measured tree of processes, and no client."""

    wall: float
    cpu: float
    rss: int  # KiB, of the largest process
    minor: int
    major: int

    @property
    def faults(self) -> int:
        return self.minor + self.major


class Workspace:
    """Directories for all programs, and the launcher: below one temporary place."""

    def __init__(self, root: Path, quick: bool):
        self.root = root
        self.quick = quick
        self.launcher = root / "launch"
        self.boxes: dict[str, Box] = {}
        # Other users run servers here.
        root.chmod(0o755)
        command = ["cc", "-O2", "-o", str(self.launcher), str(DESCRIPTIONS / "launch.c")]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            text = getattr(error, "stderr", "") or str(error)
            raise BenchError(f"cannot compile the launcher: {text.strip()}") from error

    def stage(self, allocator: Allocator) -> Allocator:
        """A copy of a library that a build might replace meanwhile, or that is private."""
        if allocator.library is None or str(allocator.library).startswith(("/usr/", "/lib")):
            return allocator
        copy = self.root / allocator.library.name
        shutil.copyfile(allocator.library, copy)
        copy.chmod(0o755)
        return Allocator(allocator.name, copy, allocator.version)

    def set_up(self, program: Program) -> Box:
        if program.name in self.boxes:
            return self.boxes[program.name]
        missing = program.missing()
        if missing:
            raise BenchError(
                f"{program.name} needs {', '.join(missing)}: scripts/install-packages bench, "
                "or leave it out (--filter)"
            )
        place = self.root / program.name
        size = program.get("QUICK" if self.quick else "FULL")
        box = Box(place / "input", place / "run", size, user_of(program))
        box.input.mkdir(parents=True)
        if box.user:
            os.chown(box.input, *box.user)
        try:
            program.get("setup", lambda box: None)(box)
        except BenchError as error:
            raise BenchError(f"{program.name}: input: {error}") from error
        self.boxes[program.name] = box
        return box


def fresh(program: Program, box: Box) -> None:
    shutil.rmtree(box.run, ignore_errors=True)
    box.run.mkdir()
    if box.user:
        os.chown(box.run, *box.user)
    program.get("before", lambda box: None)(box)


def preload_of(program: Program, allocator: Allocator) -> str:
    """A program that is linked to another malloc gets the C library's by a preload, too."""
    if allocator.library:
        return str(allocator.library)
    return program.get("BASELINE", "-")


def launch(
    space: Workspace, program: Program, allocator: Allocator, box: Box, command: list[Word],
    probe: Optional[Path],
) -> subprocess.Popen:
    user = f"{box.user[0]}:{box.user[1]}" if box.user else "-"
    report = box.run.parent / "report"
    head = [space.launcher, report, preload_of(program, allocator), user,
            probe / "ld" if probe else "-"]
    report.unlink(missing_ok=True)  # an old one must not speak for this run
    with open(box.run.parent / "stdout", "wb") as out, open(box.run.parent / "stderr", "wb") as err:
        return subprocess.Popen(
            [str(word) for word in [*head, *command]], env=program.environment(), cwd=box.run,
            stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
        )


def wait(process: subprocess.Popen, seconds: float = TIMEOUT) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired as error:
        raise BrokenRun(f"no end after {seconds:.0f} s") from error
    finally:
        kill(process)


def end_server(process: subprocess.Popen) -> None:
    """It is asked first: its children may be in sessions of their own."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        kill(process)


def kill(process: subprocess.Popen) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def last_words(box: Box) -> str:
    text = (box.run.parent / "stderr").read_text(errors="replace")
    return text[-500:].strip()


def read_report(box: Box, wall: Optional[float]) -> Taken:
    """@wall: of a server's client; otherwise the launcher's own."""
    report = box.run.parent / "report"
    if not report.is_file():
        raise BrokenRun(f"the launcher died. {last_words(box)}")
    fields = report.read_text().split()
    status = int(fields[0])
    if status < 0:
        raise BrokenRun(f"died of {signal.Signals(-status).name}. {last_words(box)}")
    if status > 0:
        raise BrokenRun(f"exit status {status}. {last_words(box)}")
    own, user, system = (float(field) for field in fields[1:4])
    rss, minor, major = (int(field) for field in fields[4:7])
    return Taken(own if wall is None else wall, user + system, rss, minor, major)


def run_command(
    space: Workspace, program: Program, allocator: Allocator, box: Box, probe: Optional[Path]
) -> tuple[Taken, str]:
    process = launch(space, program, allocator, box, program.module.command(box), probe)
    wait(process)
    taken = read_report(box, None)
    output = (box.run.parent / "stdout").read_text(errors="replace")
    return taken, result_of(program, box, output)


def run_server(
    space: Workspace, program: Program, allocator: Allocator, box: Box, probe: Optional[Path]
) -> tuple[Taken, str]:
    process = launch(space, program, allocator, box, program.module.server(box), probe)
    try:
        wait_until_ready(program, box, process)
        begin = time.monotonic()
        output = box.plain(*program.module.command(box))
        wall = time.monotonic() - begin
        result = result_of(program, box, output)
    except BaseException:
        end_server(process)
        raise
    process.terminate()
    wait(process, 60)
    return read_report(box, wall), result


def wait_until_ready(program: Program, box: Box, process: subprocess.Popen) -> None:
    until = time.monotonic() + 60
    while not program.module.ready(box):
        if process.poll() is not None:
            raise BrokenRun(f"the server ended. {last_words(box)}")
        if time.monotonic() > until:
            raise BrokenRun(f"the server does not answer. {last_words(box)}")
        time.sleep(0.02)


def result_of(program: Program, box: Box, output: str) -> str:
    result = program.get("result", lambda box, output: output)(box, output)
    if not result.strip():
        raise BrokenRun("it printed nothing")
    return result


def run_once(
    space: Workspace, program: Program, allocator: Allocator, probe: Optional[Path] = None
) -> tuple[Taken, str]:
    """What it took, and the result that has to be the same in every run."""
    try:
        box = space.set_up(program)
        fresh(program, box)
        run = run_server if program.is_server else run_command
        return run(space, program, allocator, box, probe)
    except BenchError as error:
        raise BenchError(f"{program.name} under {allocator.name}: {error}") from error


def check_bindings(program: Program, allocator: Allocator, logs: list[str]) -> None:
    """That every process called the allocator's malloc, and that the program was among them."""
    seen = set()
    for text in logs:
        bindings = BINDING.findall(text)
        # Of a program at a fixed address libraries get the address of its stub, which jumps on.
        stubs = {user for user, provider in bindings if allocator.provides(provider)}
        for _, provider in bindings:
            if not allocator.provides(provider) and provider not in stubs:
                raise BenchError(f"{program.name} under {allocator.name}: malloc came from "
                                 f"{provider}: the preload had no effect")
        if bindings:
            seen |= {Path(name).name for name in re.findall(r"binding file (\S+) \[0\]", text)}
    absent = [name for name in program.module.RUNS if name not in seen]
    if absent:
        raise BenchError(f"{program.name} under {allocator.name}: {', '.join(absent)} did not run "
                         "on a malloc that could be told")


def verify(space: Workspace, program: Program, allocator: Allocator) -> str:
    """A run that is not measured: whose malloc the program calls, and its result."""
    probe = space.root / "probe"
    shutil.rmtree(probe, ignore_errors=True)
    probe.mkdir()
    probe.chmod(0o777)
    _, result = run_once(space, program, allocator, probe)
    logs = [file.read_text(errors="replace") for file in probe.iterdir()]
    check_bindings(program, allocator, logs)
    return result
