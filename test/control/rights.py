#!/usr/bin/env python3
"""The service thread of a program that limits itself: descriptors, filters, users, capabilities."""

import resource
import sys
from pathlib import Path

from peer import (READ, Connection, Subject, as_user, check, harness, os, run_cases, subprocess, time,
                  wait_for)

FILE = "devices/system/node/online"
NOBODY = 65534
# Of capabilities: SETGID, SETUID.
NEEDED = 1 << 6 | 1 << 7
PPOLL, NANOSLEEP = (271, 35) if os.uname().machine == "x86_64" else (73, 101)

# What each program below begins with.
PRELUDE = """
import ctypes, os, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def step(word):
    print(word, flush=True)
    if not sys.stdin.readline():
        sys.exit(1)
def filter_all_threads(numbers):
    steps = [(0x20, 0, 0, 0)]
    for number in numbers:
        steps += [(0x15, 0, 1, number), (0x06, 0, 0, 0x50000 | 1)]
    steps.append((0x06, 0, 0, 0x7FFF0000))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *s) for s in steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))
    seccomp = 317 if os.uname().machine == "x86_64" else 277
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.syscall(seccomp, 1, 1, program) == 0
def drop_capabilities():
    head = struct.pack("=Ii", 0x20080522, 0)
    assert libc.capset(head, bytes(24)) == 0
"""


class Program:
    """Python under the library, which waits for a line wherever its text says step()."""

    def __init__(self, args, path, text):
        environment = dict(os.environ, LD_PRELOAD=args.lib, USLUB=f"control:{path}")
        self.process = subprocess.Popen([sys.executable, "-c", PRELUDE + text], env=environment,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def reaches(self, word):
        line = self.process.stdout.readline()
        check(line == word + "\n", f"{line!r} instead of {word}")

    def goes_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def show(self):
        with Connection(f"{self.path}/{self.pid}") as peer:
            return peer.ask(READ, FILE)


def task_of(pid):
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == "uslub-control":
            return task
    return None


def status(task):
    return dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())


def check_rests(pid):
    """It doesn't run in circles."""
    def ticks():
        return sum(map(int, (task_of(pid) / "stat").read_text().rsplit(")", 1)[1].split()[11:13]))

    before = ticks()
    time.sleep(0.5)
    check(ticks() - before < 10, f"it runs for {ticks() - before} ticks in half a second")


def few_descriptors(args, path):
    """With fewer descriptors than it could poll it serves as many as it can have, and rests."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))

    with Subject(args, path, before=limit) as subject:
        check(subject.show(FILE) == "0\n", "not served")
        check_rests(subject.pid)
    with Subject(args, path) as subject:
        with subject.connect() as peer:
            check(peer.ask(READ, FILE) == (0, "0\n"), "not served")
            resource.prlimit(subject.pid, resource.RLIMIT_NOFILE, (0, 0))
            check(peer.ask(READ, FILE) == (0, "0\n"), "not served any more")
            check_rests(subject.pid)


def filtered(args, path):
    """Where a filter refuses to let it poll it sleeps instead; where it may not even sleep it ends."""
    with Program(args, path, f"filter_all_threads([{PPOLL}])\nstep('filtered')") as program:
        program.reaches("filtered")
        check(program.show() == (0, "0\n"), "not served")
        check_rests(program.pid)
    text = f"filter_all_threads([{PPOLL}, {NANOSLEEP}])\nstep('filtered')\nstep('well')"
    with Program(args, path, text) as program:
        program.reaches("filtered")
        try:
            program.show()
        except ConnectionError:
            pass
        wait_for(lambda: not task_of(program.pid), "it goes on", 2)
        program.goes_on()
        program.reaches("well")


def only_root():
    if os.geteuid() != 0:
        harness.skip("only root has rights to give up")


def effective_users(args, path):
    """It follows from one effective user to the next, and back."""
    only_root()
    text = "for user in (1001, 1002, 0):\n" \
           "    os.seteuid(0), os.setegid(0), os.setgroups([user, 7])\n" \
           "    os.setegid(user), os.seteuid(user)\n" \
           "    step(user)\n"
    with Program(args, path, text) as program:
        for user in ("1001", "1002", "0"):
            program.reaches(user)
            mine = status(Path(f"/proc/{program.pid}"))
            for name in ("Uid", "Gid", "Groups"):
                wait_for(lambda name=name, mine=mine: task_of(program.pid)
                         and status(task_of(program.pid))[name].split() == mine[name].split(),
                         f"user {user}: another {name}", 2)
            program.goes_on()


def dumpable(args, path):
    """What a program asks for after it has given up its rights stays so."""
    only_root()
    text = f"os.setresuid({NOBODY}, {NOBODY}, {NOBODY})\n" \
           "libc.prctl(4, 1, 0, 0, 0)\n" \
           "step('changed')\n" \
           "step(libc.prctl(3, 0, 0, 0, 0))"
    with Program(args, path, text) as program:
        program.reaches("changed")
        wait_for(lambda: status(task_of(program.pid))["Uid"].split() == [str(NOBODY)] * 4,
                 "the thread is still root's", 2)
        time.sleep(0.05)
        program.goes_on()
        program.reaches("1")


def capabilities(args, path):
    """Of capabilities it has but those that it follows its program with, and those no longer than that."""
    only_root()
    text = "step('root')\ndrop_capabilities()\nstep('dropped')"
    with Program(args, path, text) as program:
        program.reaches("root")
        wait_for(lambda: int(status(task_of(program.pid))["CapPrm"], 16) & ~NEEDED == 0,
                 "it has all of root's", 2)
        check(program.show() == (0, "0\n"), "not served")
        program.goes_on()
        program.reaches("dropped")
        wait_for(lambda: int(status(task_of(program.pid))["CapPrm"], 16) == 0, "it has some", 2)
        check(program.show() == (0, "0\n"), "not served")


def others_directory(args, path):
    """Sockets in another user's directory are not asked, be it where the own ones should be."""
    only_root()
    os.chmod(path, 0o755)
    with Subject(args, path) as subject:
        os.chmod(subject.socket(), 0o666)
        words = [args.tool, "get", "--dir", str(path), str(subject.pid), FILE]
        if as_user(NOBODY, lambda: not os.access(args.tool, os.X_OK)):
            harness.skip("the user nobody cannot read the build directory")

        def ask():
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            return 0 if done.returncode == 1 and "has no control files in" in done.stderr else 2

        check(as_user(NOBODY, ask) == 0, "it asks")


if __name__ == "__main__":
    run_cases(__doc__, [few_descriptors, filtered, effective_users, dumpable, capabilities,
                        others_directory])
