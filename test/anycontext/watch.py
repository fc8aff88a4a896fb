"""Runs a program to its end, or to where it hangs or takes too long. Used by cases.py."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time

TICK = 0.05


class Ended(Exception):
    """A program ended otherwise than well: how is "hung", "crashed" or "wrong"."""

    def __init__(self, how, why):
        super().__init__(why)
        self.how = how


PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def _as_a_child():
    """No core files; and what hangs does not outlive a driver that is killed."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """One that is started, in a session of its own, its output in files of `directory`."""

    def __init__(self, name, command, directory, environment=None, stdin=None):
        self.name = name
        self.threads = {}
        self.outputs = {kind: os.path.join(directory, f"{name}.{kind}") for kind in ("out", "err")}
        with open(self.outputs["out"], "wb") as out, open(self.outputs["err"], "wb") as err:
            self.process = subprocess.Popen(  # ended by kill(), pylint: disable=R1732
                command, stdout=out, stderr=err, cwd=directory, start_new_session=True,
                stdin=stdin or subprocess.DEVNULL, preexec_fn=_as_a_child,
                env={**os.environ, **(environment or {})})

    def text(self, kind):
        with open(self.outputs[kind], encoding="utf-8", errors="replace") as file:
            return file.read()

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def sleepers(self):
        """For each thread how long it has slept without any processor time."""
        now = time.monotonic()
        seen = {}
        tasks = f"/proc/{self.process.pid}/task"
        try:
            for task in os.listdir(tasks):
                with open(f"{tasks}/{task}/stat", encoding="utf-8", errors="replace") as file:
                    state, *fields = file.read().rpartition(")")[2].split()
                used = int(fields[10]) + int(fields[11]) if state in "Sst" else -1
                before, since = self.threads.get(task, (-1, now))
                seen[task] = (used, since if used >= 0 and used == before else now)
        except (FileNotFoundError, ProcessLookupError):
            pass
        self.threads = seen
        return {int(task): now - since for task, (_, since) in seen.items()}

    def hangs(self, stuck, each):
        """Every thread sleeps for so long; with `each`, one beside the first is enough."""
        sleepers = self.sleepers()
        if each:
            sleepers.pop(self.process.pid, None)
            return max(sleepers.values(), default=0) > stuck
        return min(sleepers.values(), default=0) > stuck


def check_died(program, expected_signal=None):
    """Raises Ended where the program has ended, and not by the signal that was expected."""
    status = program.process.poll()
    if status is None or status == -(expected_signal or 0):
        return
    text = program.text("err").strip()
    # check.h has found that the library is not in use: no case can be judged.
    if "malloc comes from" in text:
        sys.exit(f"run: {text}")
    lines = text.splitlines()
    said = f": {lines[-1][:300]}" if lines else ""
    if status < 0:
        raise Ended("crashed", f"{program.name}: {signal.Signals(-status).name}{said}")
    raise Ended("wrong", f"{program.name}: exit status {status}{said}")


def wait(program, limits, watched=None, expected_signal=None, each=False):
    """Until `program` has ended; `watched` is what it depends on, and must live.

    limits are two times in seconds: how long in all, and how long asleep without processor time. `each`
    is for programs whose threads never sleep, but for the first.
    """
    longest, stuck = limits
    watched = watched or program
    start = time.monotonic()
    while program.process.poll() is None:
        time.sleep(TICK)
        if watched is not program:
            check_died(watched)
        if watched.hangs(stuck, each):
            raise Ended("hung", f"{watched.name} sleeps for ever")
        if time.monotonic() - start > longest:
            raise Ended("hung", f"{program.name}: not done after {longest} s")
    check_died(program, expected_signal)
