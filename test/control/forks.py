#!/usr/bin/env python3
"""A child serves under its own number, however it was made."""

import sys

from peer import Subject, check, os, run_cases, signal, subprocess, time, tool, wait_for

FILE = "kernel/slab/kmalloc-2048/objects"


def child_serves(subject, order, answer="child"):
    """Its own heap, beside its parent's."""
    subject.tell("hold 3000 2048", "held")
    child = subject.tell(order, answer)
    wait_for(lambda: subject.is_served(child), f"{order}: the child does not serve", 5)
    subject.tell("free", "freed")
    check(subject.show(FILE) == "0\n", f"{order}: the parent's figures")
    check(subject.show(FILE, child) == "3000 N0=3000\n", f"{order}: the child's figures")
    check(subject.service_thread(child), f"{order}: no thread in the child")
    os.kill(child, signal.SIGKILL)


def _check_kinds(args, path, kinds):
    with Subject(args, path) as subject:
        for kind in kinds:
            child_serves(subject, kind)


def fork(args, path):
    """By fork(), whether the child allocates or not, and by a thread."""
    _check_kinds(args, path, ["child fork 0", "child fork 1", "thread_child fork"])


def other_forks(args, path):
    """By what runs no atfork handler: at the child's first slow path."""
    _check_kinds(args, path, ["child _Fork 1", "child clone 1", "thread_child _Fork",
                              "thread_child clone"])


def vfork(args, path):
    """In the child of a vfork memory is the parent's, and so is the service."""
    with Subject(args, path) as subject:
        before = subject.service_thread()
        child = subject.tell("child vfork 0", "child")
        check(not subject.socket(child).exists(), "the child has a socket")
        check(subject.service_thread() == before, "the parent's thread is another")
        check(len(os.listdir(f"/proc/{subject.pid}/task")) == 2, "there are more threads")
        check(subject.show("devices/system/node/online") == "0\n", "not served")


def generations(args, path):
    """Children of children; each removes its own socket."""
    script = "import os, sys\n" \
             "for i in range(4):\n" \
             "    if os.fork():\n" \
             "        break\n" \
             "os.write(1, b'%d\\n' % os.getpid())\n" \
             "sys.stdin.read()\n" \
             "try:\n" \
             "    os.wait()\n" \
             "except ChildProcessError:\n" \
             "    pass\n"
    environment = dict(os.environ, LD_PRELOAD=args.lib, USLUB=f"control:{path}")
    with subprocess.Popen([sys.executable, "-c", script], env=environment, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        pids = sorted(process.stdout.readline().strip() for _ in range(5))
        wait_for(lambda: sorted(os.listdir(path)) == pids, f"sockets of {pids}")
        status, out, _ = tool(args, "ls", "--dir", path)
        check((status, sorted(out.split())) == (0, pids), out)
        process.stdin.close()
        check(process.wait(timeout=20) == 0, "a child failed")
    check(not os.listdir(path), f"sockets stay behind: {os.listdir(path)}")


def many_short_ones(args, path):
    """Children that exec or exit at once leave nothing, and the shell that makes them is served."""
    loop = "for i in $(seq 300); do (exit 3); /bin/true; done; echo done; read -r line"
    environment = dict(os.environ, LD_PRELOAD=args.lib, USLUB=f"control:{path}")
    with subprocess.Popen(["bash", "-c", loop], env=environment, text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        start = time.monotonic()
        check(process.stdout.readline() == "done\n", "the shell fails")
        print(f"600 children in {time.monotonic() - start:.1f} s")
        status, out, _ = tool(args, "ls", "--dir", path)
        check((status, out) == (0, f"{process.pid}\n"), f"{out!r} serve")
        process.stdin.close()


def ends_while_starting(args, path):
    """A child that exits just when its socket is made takes it along."""
    with Subject(args, path) as subject:
        subject.tell("short_children 1200", "short")
        check(os.listdir(path) == [str(subject.pid)], f"{len(os.listdir(path)) - 1} sockets stay behind")


if __name__ == "__main__":
    run_cases(__doc__, [fork, other_forks, vfork, generations, many_short_ones,
                        ends_while_starting])
