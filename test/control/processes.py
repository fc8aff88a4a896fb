#!/usr/bin/env python3
"""The service thread and the program around it: descriptors, signals, users, exits."""

import ctypes
import errno
import socket
import stat
import struct
import sys
from pathlib import Path

from peer import (Subject, check, harness, os, run_cases, signal, subprocess, time, tool,
                  wait_for)

FILE = "devices/system/node/online"
NOBODY = 65534


def fields(pid, thread):
    text = Path(f"/proc/{pid}/task/{thread}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def thread(args, path):
    """One thread, with no descriptor of the program's and none of its signals."""
    with Subject(args, path) as subject:
        mode = os.lstat(subject.socket()).st_mode
        check(stat.S_IMODE(mode) == 0o600, f"mode {mode:o}")
        check(len(os.listdir(f"/proc/{subject.pid}/task")) == 2, "more threads than two")
        service = subject.service_thread()
        blocked = int(fields(subject.pid, service)["SigBlk"], 16)
        never = 1 << signal.SIGKILL - 1 | 1 << signal.SIGSTOP - 1
        check(blocked | never == 2**64 - 1, f"blocked signals: {blocked:x}")
        own = {fd: os.readlink(f"/proc/{subject.pid}/fd/{fd}")
               for fd in os.listdir(f"/proc/{subject.pid}/fd")}
        check(set(own) == {"0", "1", "2"}, f"the program's descriptors: {own}")
        theirs = [os.readlink(f"/proc/{subject.pid}/task/{service}/fd/{fd}")
                  for fd in os.listdir(f"/proc/{subject.pid}/task/{service}/fd")]
        check(not set(theirs) & set(own.values()), f"the thread's descriptors: {theirs}")
        subject.tell("signals 2000")
        check(subject.number("signals") > 0 and subject.number("elsewhere") == 0, "signals")


def none_without_the_option(args, path):
    """Without the option there is neither a thread nor a socket."""
    environment = dict(os.environ, LD_PRELOAD=args.lib)
    environment.pop("USLUB", None)
    with subprocess.Popen([args.subject], env=environment, stdin=subprocess.PIPE, text=True,
                          stdout=subprocess.PIPE) as process:
        pid = int(process.stdout.readline().split()[1])
        check(len(os.listdir(f"/proc/{pid}/task")) == 1, "a thread")
        process.stdin.close()


def close_all(args, path):
    """A program that closes every descriptor goes on, at rest, and is served."""
    with Subject(args, path) as subject:
        subject.tell("close_all")
        subject.number("closing")
        wait_for(lambda: not os.listdir(f"/proc/{subject.pid}/fd"), "descriptors are open")
        for _ in range(10):
            check(subject.show(FILE) == "0\n", "not served")
            time.sleep(0.05)
        ticks = Path(f"/proc/{subject.pid}/task/{subject.service_thread()}/stat").read_text()
        ticks = sum(map(int, ticks.rsplit(")", 1)[1].split()[11:13]))
        check(ticks < 20, f"the thread has run for {ticks} ticks")
        status, err = subject.end()
        check((status, err) == (43, ""), f"it ended with {status}, {err}")
        check(not subject.socket().exists(), "the socket stays behind")


def exits(args, path):
    """An exit removes the socket, also that of a main that has left its threads to it."""
    for order, expected in [("", 0), ("pthread_exit", 0)]:
        with Subject(args, path) as subject:
            if order:
                subject.tell(order, "last")
            status, err = subject.end()
            check((status, err) == (expected, ""), f"{order}: it ended with {status}, {err}")
            check(not subject.socket().exists(), f"{order}: the socket stays behind")


def stale(args, path):
    """What a killed process leaves is known for what it is: by the tools, and by who comes to have the number."""
    with Subject(args, path) as subject:
        subject.tell("_exit")
        status, _ = subject.end()
        check(status == 44 and subject.socket().is_socket(), "it stays behind")
        done = tool(args, "ls", "--dir", path)
        check(done == (0, "", "") and not subject.socket().exists(), f"uslub ls: {done}")
    names = [Path(path) / name for name in ("999999999", "1", "0", "file", "99999999999999")]
    for name in names:
        with socket.socket(socket.AF_UNIX) as old:
            old.bind(str(name))
    with Subject(args, path):
        wait_for(lambda: not names[0].exists(), "the next process does not remove it")
        check([name.exists() for name in names] == [False] + [True] * 4, "others were removed")
    for name in names[1:]:
        name.unlink()
    code = ("import os, socket, sys\n"
            "s = socket.socket(socket.AF_UNIX)\n"
            "s.bind(sys.argv[1] + '/' + str(os.getpid()))\n"
            "s.close()\n"
            "os.environ.update(LD_PRELOAD=sys.argv[2], USLUB='control:' + sys.argv[1])\n"
            "os.execv(sys.argv[3], [sys.argv[3]])\n")
    with subprocess.Popen([sys.executable, "-c", code, path, args.lib, args.subject], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        pid = process.stdout.readline().split()[1]
        status, out, err = tool(args, "get", pid, FILE)
        check((status, out) == (0, "0\n"), f"another's old socket is in the way: {err}")
        process.stdin.close()


def taken(args, path):
    """A file, or a socket that is served, is left as it is, and the program runs on without."""
    code = ("import os, socket, sys\n"
            "name = sys.argv[1] + '/' + str(os.getpid())\n"
            "if sys.argv[4] == 'file':\n"
            "    open(name, 'w').write('mine')\n"
            "else:\n"
            "    s = socket.socket(socket.AF_UNIX)\n"
            "    s.bind(name)\n"
            "    s.listen()\n"
            "    os.set_inheritable(s.fileno(), True)\n"
            "os.environ.update(LD_PRELOAD=sys.argv[2], USLUB='control:' + sys.argv[1])\n"
            "os.execv(sys.argv[3], [sys.argv[3]])\n")
    for kind in ("file", "socket"):
        done = subprocess.run([sys.executable, "-c", code, path, args.lib, args.subject, kind],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        check(done.returncode == 0 and "has the socket's name" in done.stderr, done.stderr)
        check(len(os.listdir(path)) == 1, f"{kind}: {os.listdir(path)}")
        name = Path(path) / os.listdir(path)[0]
        check(kind == "socket" or name.read_text() == "mine", "the file is not what it was")
        name.unlink()


def directories(args, path):
    """A directory that others could write to, or another's, or a link to one, is not taken."""
    path = Path(path)
    (path / "open").mkdir()
    (path / "open").chmod(0o777)
    (path / "good").mkdir(0o700)
    (path / "link").symlink_to("good")
    (path / "file").write_text("")
    bad = {"open": "your own", "link": "your own", "file": "your own", "none/new": "opened",
           "x" * 300: "1 to 255 bytes"}
    if os.geteuid() == 0:
        (path / "other").mkdir(0o700)
        os.chown(path / "other", NOBODY, NOBODY)
        bad["other"] = "your own"
    for name, word in bad.items():
        with Subject(args, path / name, expect=False) as subject:
            check(len(os.listdir(f"/proc/{subject.pid}/task")) == 1, f"{name}: there is a thread")
            status, err = subject.end()
            check(status == 0 and word in err and err.count("\n") == 1, f"{name}: {err}")
    done = subprocess.run([args.subject], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
                          env=dict(os.environ, LD_PRELOAD=args.lib, USLUB=f"control:{path}/link//"))
    check("your own" in done.stderr, f"a link with a slash behind it: {done.stderr}")
    with Subject(args, path / "new") as subject:
        check(stat.S_IMODE(os.stat(path / "new").st_mode) == 0o700, "made for others too")
    with Subject(args, "relative", expect=False) as subject:
        check("full path" in subject.end()[1], "a relative path is taken")


def setuid(args, path):
    """A program that gives up its rights gives up those of the thread."""
    if os.geteuid() != 0:
        harness.skip("only root has rights to give up")
    with Subject(args, path) as subject:
        check(subject.tell(f"setuid {NOBODY}", "setuid") == 0, "setuid")
        service = subject.service_thread()
        wait_for(lambda: fields(subject.pid, service)["Uid"].split() == [str(NOBODY)] * 4,
                 "the thread is still root's", 2)
        check(int(fields(subject.pid, service)["CapEff"], 16) == 0, "it has capabilities")
        check(subject.show(FILE) == "0\n", "root is not served")


def refuse_unshare():
    """From here on the system call fails, as in containers: a filter of seccomp's, by ctypes."""
    number = {"x86_64": 272, "aarch64": 97}[os.uname().machine]
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x50000 | errno.EPERM),
             (0x06, 0, 0, 0x7FFF0000)]
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    program = ctypes.create_string_buffer(code)
    filters = struct.pack("@HP", len(steps), ctypes.addressof(program))
    libc = ctypes.CDLL(None)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filters, 0, 0):
        os._exit(99)


def container(args, path):
    """Where unshare() is forbidden the thread gets its own descriptors in another way."""
    with Subject(args, path, before=refuse_unshare) as subject:
        check(subject.show(FILE) == "0\n", "not served")
        service = subject.service_thread()
        check(len(os.listdir(f"/proc/{subject.pid}/task")) == 2, "the first thread stays")
        check(len(os.listdir(f"/proc/{subject.pid}/fd")) == 3, "the program's descriptors")
        # The directory thrice, the listener, the machine's events, and the connection of just now.
        theirs = f"/proc/{subject.pid}/task/{service}/fd"
        wait_for(lambda: len(os.listdir(theirs)) <= 6, "the thread has more than it needs", 2)
        child = subject.tell("child fork 0", "child")
        wait_for(lambda: subject.is_served(child), "the child does not serve", 5)
        check(subject.show(FILE, child) == "0\n", "the child does not serve")
        os.kill(child, signal.SIGKILL)


def stopped(args, path):
    """A stopped process gives no answer, which takes the tool some seconds to say; it goes on as it was."""
    with Subject(args, path) as subject:
        os.kill(subject.pid, signal.SIGSTOP)
        service = subject.service_thread()
        wait_for(lambda: fields(subject.pid, service)["State"].startswith("T"), "it runs on")
        start = time.monotonic()
        status, _, err = tool(args, "get", subject.pid, FILE)
        check(status == 1 and "timed out" in err, f"{status} {err}")
        check(time.monotonic() - start < 12, "it takes too long")
        os.kill(subject.pid, signal.SIGCONT)
        check(subject.show(FILE) == "0\n", "it is not served any more")


if __name__ == "__main__":
    run_cases(__doc__, [thread, none_without_the_option, close_all, exits, stale, taken, directories,
                        setuid, container, stopped])
