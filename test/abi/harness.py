"""Runs a test program under the preload, from tests that look at it from outside."""

import argparse
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SKIP_CODE = 77


@dataclass
class Done:
    """How a program ended: returncode is negative for a signal."""

    returncode: int
    stdout: str
    stderr: str
    pid: int

    def own_lines(self):
        """Lines of stderr, without what an emulator adds when its guest is killed."""
        return [line for line in self.stderr.splitlines() if not line.startswith("qemu:")]


def parser(description):
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--lib", help="the library to preload; without it glibc's malloc serves")
    made.add_argument("--emulator", default="", help="command that runs the programs")
    return made


def command(args, words, preload=True):
    """The command line and environment variables that run words under the preload."""
    preloads = args.lib if preload and args.lib else ""
    if args.emulator:
        head = shlex.split(args.emulator)
        if preloads:
            head += ["-E", f"LD_PRELOAD={preloads}"]
        return head + words, {}
    return words, {"LD_PRELOAD": preloads} if preloads else {}


def run(args, words, options=None, timeout=120, preload=True, before=None):
    line, extra = command(args, words, preload)
    environment = {key: value for key, value in os.environ.items() if key != "USLUB"}
    environment.update(extra)
    if args.lib and preload:
        environment["TEST_ALLOCATOR"] = Path(args.lib).name.split(".")[0]
    if options is not None:
        environment["USLUB"] = options
    if args.emulator:
        environment["TEST_EMULATED"] = "1"
    with subprocess.Popen(
        line,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=before,
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            fail(f"no end within {timeout} s: {shlex.join(line)}")
    return Done(process.returncode, text(out), text(err), process.pid)


def text(raw):
    return raw.decode("utf-8", "backslashreplace")


def check(condition, message):
    if not condition:
        fail(message)


def fail(message):
    print(f"FAILED: {message}", file=sys.stderr)
    sys.exit(1)


def skip(message):
    print(f"skipped: {message}", file=sys.stderr)
    sys.exit(SKIP_CODE)
