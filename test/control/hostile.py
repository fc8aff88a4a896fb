#!/usr/bin/env python3
"""Peers that mean harm, or are broken: nothing but their own error comes of it."""

import errno
import random
import socket
import stat
import sys
from pathlib import Path

from peer import (HEAD, LIST, MAGIC, READ, WRITE, Connection, Subject, as_user, check, harness,
                  name_of, os, request, run_cases, subprocess, time)

FILE = "devices/system/node/online"
NOBODY = 65534


def is_well(subject, seconds=5, expected="0\n"):
    """Others are served, the program runs on, and nothing is left open."""
    start = time.monotonic()
    end = start + seconds
    while True:
        try:
            check(subject.show(FILE) == expected, "a wrong answer")
            break
        except ConnectionError:
            check(time.monotonic() < end, "others are not served")
    check(subject.tell("signals 1", "signals") == 1 and subject.number("elsewhere") == 0,
          "the program is disturbed")
    thread = subject.service_thread()
    check(thread, "there is no thread that serves")
    # The directory thrice, the listener, the machine's events, and a connection each.
    count = len(os.listdir(f"/proc/{subject.pid}/task/{thread}/fd"))
    check(count <= 5 + 16, f"it has {count} descriptors")
    return time.monotonic() - start


def garbage(args, path):
    """What is no request is told so, and hung up on."""
    chance = random.Random(5)
    with Subject(args, path) as subject:
        for _ in range(200):
            with subject.connect() as peer:
                try:
                    peer.send(chance.randbytes(chance.randrange(16, 5000)))
                    error, _, _ = peer.answer()
                    check(error == errno.EPROTO, name_of(error))
                except ConnectionError:
                    pass
                check(peer.is_hung_up_on(), "it goes on")
        with subject.connect() as peer:
            try:
                for _ in range(1000):
                    peer.send(bytes(65536))
            except ConnectionError:
                pass
        is_well(subject)


def lengths(args, path):
    """Lengths that are too long, and words that no operation has."""
    heads = [
        (HEAD.pack(MAGIC, READ, 256, 0, 0), errno.EPROTO, True),
        (HEAD.pack(MAGIC, READ, 65535, 0, 0), errno.EPROTO, True),
        (HEAD.pack(MAGIC, WRITE, 4, 2**32 - 1, 0), errno.EPROTO, True),
        (HEAD.pack(MAGIC, WRITE, 4, 4097, 0), errno.E2BIG, True),
        (HEAD.pack(MAGIC + 1, READ, 0, 0, 0), errno.EPROTO, True),
        (request(0, FILE), errno.EINVAL, False),
        (request(77, FILE), errno.EINVAL, False),
        (request(65535, FILE, b"x" * 4096), errno.EINVAL, False),
        (request(WRITE, FILE, b"x" * 4096), errno.EACCES, False),
        (request(READ, b"\0" * 255), errno.ENOENT, False),
        (request(READ, b"\xff\n/%s%n/../.." + b"/" * 200), errno.ENOENT, False),
        (request(READ, b"/" * 255), errno.EISDIR, False),
        (request(WRITE, FILE, b""), errno.EACCES, False),
    ]
    with Subject(args, path) as subject:
        for message, expected, ends in heads:
            with subject.connect() as peer:
                peer.send(message)
                error, _, _ = peer.answer()
                check(error == expected, f"{message[:40]!r}: {name_of(error)}")
                if ends:
                    check(peer.is_hung_up_on(), "it goes on")
                else:
                    check(peer.ask(READ, FILE) == (0, "0\n"), f"nothing after {message[:40]!r}")
        is_well(subject)


def pieces(args, path):
    """A request may come byte by byte; one that ends in the middle is given up after a while."""
    with Subject(args, path) as subject:
        halves = []
        for cut in (1, 15, 16, 17, 30):
            peer = subject.connect()
            peer.socket.settimeout(20)
            peer.send(request(READ, FILE)[:cut])
            halves.append(peer)
        with subject.connect() as peer:
            for byte in request(WRITE, "kernel/slab/kmalloc-64/remote_node_defrag_ratio", "41"):
                peer.send(bytes([byte]))
                time.sleep(0.002)
            check(peer.answer()[0] == 0, "byte by byte")
        check(subject.show("kernel/slab/kmalloc-64/remote_node_defrag_ratio") == "41\n", "stored")
        gone = subject.connect()
        gone.send(request(READ, FILE)[:20])
        gone.socket.close()
        is_well(subject)
        start = time.monotonic()
        for peer in halves:
            check(peer.is_hung_up_on(), "half a message is waited for")
            peer.socket.close()
        check(8 < time.monotonic() - start < 14, f"after {time.monotonic() - start} s")
        is_well(subject)


def slow_reader(args, path):
    """Who asks without end and reads nothing holds up nobody, and costs no memory without end."""
    with Subject(args, path) as subject:
        peers = [subject.connect() for _ in range(8)]
        for peer in peers:
            peer.socket.setblocking(False)
            try:
                for _ in range(20000):
                    peer.socket.send(request(LIST, "kernel/slab"))
            except BlockingIOError:
                pass
        for _ in range(20):
            check(is_well(subject) < 3, "others wait")
        status = Path(f"/proc/{subject.pid}/status").read_text()
        rss = int(next(line for line in status.splitlines() if "VmRSS" in line).split()[1])
        check(rss < 40000, f"{rss} KiB are resident")
        peers[0].socket.settimeout(8)
        error, data, _ = peers[0].answer()
        check(error == 0 and b"kmalloc-64\n" in data, "the slow reader's own answer is whole")
        for peer in peers:
            peer.socket.close()


def thousand(args, path):
    """1,000 connections at once: others are served in between, and the program doesn't notice."""
    with Subject(args, path) as subject:
        peers = []
        for _ in range(1000):
            peer = socket.socket(socket.AF_UNIX)
            peer.setblocking(False)
            try:
                peer.connect(str(subject.socket()))
                peer.send(b"\1")
            except BlockingIOError:
                pass
            except ConnectionError:
                pass
            peers.append(peer)
        is_well(subject, 20)
        for peer in peers:
            peer.close()
        for _ in range(2000):
            subject.connect().socket.close()
        is_well(subject)


def flood(args, path):
    """Several peers that ask as fast as they can: each is served."""
    code = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from peer import Connection, READ
end = time.monotonic() + 2
n = 0
with Connection({str(Path(path))!r} + "/" + sys.argv[1]) as peer:
    while time.monotonic() < end:
        assert peer.ask(READ, {FILE!r}) == (0, "0\\n")
        n += 1
print(n)
"""
    with Subject(args, path) as subject:
        peers = [subprocess.Popen([sys.executable, "-c", code, str(subject.pid)],
                                  stdout=subprocess.PIPE, text=True) for _ in range(4)]
        time.sleep(0.5)
        check(is_well(subject) < 3, "others wait")
        counts = [int(peer.communicate(timeout=30)[0]) for peer in peers]
        print(f"answers: {counts}")
        check(min(counts) * 10 > max(counts) > 100, "one is favoured")


NODE = "devices/system/node"
STORED = [("node1/state", "offline\n"), ("node1/state", "online\n"), ("node2/state", "offline\n"),
          ("node2/state", "online\n"), ("node0/state", "nonsense"), ("node9/state", "online"),
          ("probe", "1 64M"), ("probe", "1024 64M"), ("probe", "\0"), ("policy", "interleave"),
          ("policy", "bind:0-3"), ("policy", "preferred:77"), ("policy", "bind:" + "9," * 2000),
          ("online", "0")]
ANSWERS = {0, errno.EINVAL, errno.EEXIST, errno.ERANGE, errno.EACCES, errno.ENOENT}


def pester(path, seconds, seed):
    """What a peer may send that means harm to nodes, some of it in the middle of a message cut off."""
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with Connection(path) as peer:
                for _ in range(chance.randrange(1, 40)):
                    file, text = chance.choice(STORED)
                    peer.send(request(WRITE, f"{NODE}/{file}", text))
                    error, _, _ = peer.answer()
                    check(error in ANSWERS, f"{text[:20]!r} to {file}: {name_of(error)}")
                    peer.send(request(READ, f"{NODE}/node1/meminfo"))
                    check(peer.answer()[0] == 0, "meminfo")
                half = request(WRITE, f"{NODE}/node1/state", "offline")
                peer.send(half[:chance.randrange(1, len(half))] if chance.random() < 0.7
                          else chance.randbytes(300))
        except (ConnectionError, TimeoutError):
            pass


def nodes(args, path):
    """Nodes are sent offline and online by several at once, amid garbage, under a program that allocates."""
    with Subject(args, path, options="nodes:4,policy:interleave") as subject:
        subject.tell("untouched 256", "untouched")
        subject.tell("fill 5000 2048", "filled")
        subject.tell("churn", "churning")
        peers = []
        for seed in range(3):
            peers.append(os.fork())
            if peers[-1] == 0:
                status = 1
                try:
                    pester(subject.socket(), 2, seed)
                    status = 0
                finally:
                    os._exit(status)
        for peer in peers:
            check(os.waitpid(peer, 0)[1] == 0, "a peer was answered wrongly")
        for node in (1, 2):
            subject.ask(WRITE, f"{NODE}/node{node}/state", "online")
        check(subject.show(f"{NODE}/possible") == "0-3\n", "a node that nobody added")
        is_well(subject, expected="0-3\n")
        churned = subject.tell("churned", "churned")
        check(churned > 1000 and subject.number("wrong") == 0, "an object was not the thread's own")
        check(subject.tell("verify", "wrong") == 0, "what it held is another")
        check(subject.ask(WRITE, "kernel/slab/kmalloc-2048/validate", "1")[0] == 0, "damage")


def wrong_user(args, path):
    """Another user is told EACCES, even where the socket's mode lets him in."""
    if os.geteuid() != 0:
        harness.skip("only root can be two users")
    os.chmod(path, 0o711)
    with Subject(args, path) as subject:
        os.chmod(subject.socket(), 0o666)

        def ask():
            with Connection(subject.socket()) as peer:
                error, data, _ = peer.answer()
                return 0 if (error, data) == (errno.EACCES, b"") and peer.is_hung_up_on() else 2

        check(as_user(NOBODY, ask) == 0, "another user is served")
        is_well(subject)
        os.chmod(subject.socket(), 0o600)


def root_may(args, path):
    """Root is told what a user's own process serves."""
    if os.geteuid() != 0:
        harness.skip("only root can be two users")
    if as_user(NOBODY, lambda: not (os.access(args.subject, os.X_OK) and os.access(args.lib, os.R_OK))):
        harness.skip("the user nobody cannot read the build directory")
    os.chown(path, NOBODY, NOBODY)
    with Subject(args, path, before=lambda: os.setresuid(NOBODY, NOBODY, NOBODY)) as subject:
        mode = os.stat(subject.socket())
        check((mode.st_uid, stat.S_IMODE(mode.st_mode)) == (NOBODY, 0o600), f"{mode}")
        check(subject.show(FILE) == "0\n", "root may")


if __name__ == "__main__":
    run_cases(__doc__, [garbage, lengths, pieces, slow_reader, thousand, flood, nodes, wrong_user,
                        root_may])
