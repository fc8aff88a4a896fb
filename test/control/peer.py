"""What the tests of the control files share: the program that is looked at, and the socket's protocol."""

import argparse
import errno
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "abi"))
import harness  # noqa: E402

MAGIC = 0x31736C75
LIST, STAT, READ, WRITE = 1, 2, 3, 4
HEAD = struct.Struct("=IHHII")
ANSWER = struct.Struct("=IIII")
check = harness.check


def parser(description):
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--lib", required=True)
    made.add_argument("--tool", required=True)
    made.add_argument("--subject", required=True)
    made.add_argument("case", nargs="?")
    return made


def request(op, path, data=b"", tag=0, magic=MAGIC):
    path = path.encode() if isinstance(path, str) else path
    data = data.encode() if isinstance(data, str) else data
    return HEAD.pack(magic, op, len(path), len(data), tag) + path + data


class Connection:
    """One end of a control socket."""

    def __init__(self, path, timeout=8):
        self.socket = socket.socket(socket.AF_UNIX)
        # Waits where too many wait already; with a time limit it would not.
        self.socket.connect(str(path))
        self.socket.settimeout(timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, length):
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise ConnectionResetError("the peer has hung up")
            data += more
        return data

    def answer(self):
        """(errno, data, tag)"""
        magic, error, length, tag = ANSWER.unpack(self.receive(ANSWER.size))
        check(magic == MAGIC, "an answer without the magic number")
        return error, self.receive(length), tag

    def ask(self, op, path, data=b""):
        self.send(request(op, path, data))
        error, data, _ = self.answer()
        return error, data.decode()

    def is_hung_up_on(self):
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True


class Subject:
    """A program that serves control files, and does as it is told."""

    def __init__(self, args, folder, expect=True, before=None, options=""):
        self.folder = Path(folder)
        environment = dict(os.environ, LD_PRELOAD=args.lib,
                           USLUB=f"control:{self.folder},{options}".rstrip(","))
        self.process = subprocess.Popen(
            [args.subject], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, bufsize=1, preexec_fn=before)
        self.pid = self.number("ready")
        check(not expect or self.socket().is_socket(), f"there is no {self.socket()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        try:
            self.process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            # A child that lives on has the pipes.
            self.process.wait()

    def socket(self, pid=None):
        return self.folder / str(pid or self.pid)

    def is_served(self, pid):
        """The socket is there a moment before somebody listens at it."""
        try:
            with self.connect(pid):
                return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def number(self, word):
        line = self.process.stdout.readline()
        words = line.split()
        check(len(words) == 2 and words[0] == word, f"the program says {line!r}, not {word}")
        return int(words[1])

    def tell(self, order, answer=None):
        self.process.stdin.write(order + "\n")
        return self.number(answer) if answer else None

    def connect(self, pid=None):
        return Connection(self.socket(pid))

    def ask(self, op, path, data=b"", pid=None):
        with self.connect(pid) as peer:
            return peer.ask(op, path, data)

    def show(self, path, pid=None):
        error, text = self.ask(READ, path, pid=pid)
        check(error == 0, f"{path}: {os.strerror(error)}")
        return text

    def end(self):
        """Lets it run to its end; returns its exit status and stderr."""
        _, err = self.process.communicate(timeout=20)
        return self.process.returncode, err

    def service_thread(self, pid=None):
        """The number of the thread that serves."""
        for task in Path(f"/proc/{pid or self.pid}/task").iterdir():
            if (task / "comm").read_text().strip() == "uslub-control":
                return int(task.name)
        return None


def wait_for(condition, what, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"after {seconds} s: {what}")
        time.sleep(0.005)


def folder():
    return tempfile.TemporaryDirectory(prefix="uslub-control-")


def run_cases(description, cases):
    """Runs the case that the command line names, or all; a function each, of the arguments and a directory."""
    args = parser(description).parse_args()
    for case in cases:
        if args.case and case.__name__ != args.case:
            continue
        with folder() as path:
            start = time.monotonic()
            case(args, path)
            print(f"{case.__name__}: ok, {time.monotonic() - start:.1f} s", flush=True)


def tool(args, *words, given=None):
    """Runs the command line tool; returns its exit status, stdout and stderr."""
    done = subprocess.run([args.tool, *map(str, words)], input=given, capture_output=True,
                          text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def as_user(user, work):
    """The exit status of a child of that user which does the work: what it returns, or 1."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            status = int(work() or 0)
        except OSError as error:
            print(f"as user {user}: {error}", flush=True)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def name_of(error):
    return errno.errorcode.get(error, str(error))


__all__ = ["ANSWER", "Connection", "HEAD", "LIST", "MAGIC", "READ", "STAT", "Subject", "WRITE",
           "as_user", "check", "folder", "harness", "name_of", "os", "request", "run_cases", "signal",
           "subprocess", "time", "tool", "wait_for"]
