#!/usr/bin/env python3
"""The tools before processes that answer wrongly, or that are busy with a node."""

import errno
import os
import socket
import struct
import tempfile
import threading

from peer import (ANSWER, HEAD, LIST, MAGIC, READ, STAT, check, harness, run_cases, subprocess, time,
                  tool)

NODES = "devices/system/node/"


class Server:
    """A process of this number, whose answers are made here."""

    def __init__(self, path, answer):
        self.pid = os.getpid()
        self.answer = answer
        self.name = f"{path}/{self.pid}"
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.name)
        self.socket.listen(20)
        threading.Thread(target=self.run, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        os.unlink(self.name)

    def run(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        with peer:
            head = peer.recv(HEAD.size, socket.MSG_WAITALL)
            if len(head) < HEAD.size:
                return
            _, op, path_length, data_length, _ = HEAD.unpack(head)
            path = peer.recv(path_length, socket.MSG_WAITALL).decode()
            peer.recv(data_length, socket.MSG_WAITALL)
            try:
                self.answer(peer, op, path)
            except OSError:
                pass


def good(text, error=0):
    return ANSWER.pack(MAGIC, error, len(text), 0) + text


def wrong_answers(args, path):
    """Whatever comes instead of an answer, the tool says so and ends with 1."""
    answers = {
        "nothing": (b"", "Broken pipe"),
        "half a head": (good(b"")[:7], "Broken pipe"),
        "half an answer": (good(b"0\n" * 100)[:50], "Broken pipe"),
        "garbage": (os.urandom(4000), "Protocol error"),
        "too much": (struct.pack("=IIII", MAGIC, 0, 2**32 - 1, 0), "Protocol error"),
        "a strange error": (good(b"", 4095), "Unknown error 4095"),
    }
    for name, (answer, said) in answers.items():
        with Server(path, lambda peer, _op, _path, answer=answer: peer.sendall(answer)) as server:
            for words in (["get", server.pid, "slabinfo"], ["set", server.pid, "x", "1"],
                          ["ls", server.pid], ["node", server.pid]):
                status, out, err = tool(args, words[0], "--dir", path, *words[1:])
                check((status, out) == (1, ""), f"{name}: {words}: {status} {out}")
                check(said in err and err.count("\n") == 1, f"{name}: {words}: {err}")


def strange_lists(args, path):
    """Lines that are no entries end a listing, and what is no name of a file, or would act on a terminal."""
    for bad in (b"d 0555 " + b"n" * 400, b"d 0555 ", b"- 0444 a/b", b"- 0444 ..", b"- 0444 \033[2J",
                b"s 0444 x", b"- 4755 x", b"- 044x x", b"-"):
        text = b"- 0444 fine one\n" + bad + b"\n- 0444 lost\n"
        with Server(path, lambda peer, _op, _path, text=text: peer.sendall(good(text))) as server:
            status, out, _ = tool(args, "ls", "--dir", path, server.pid)
            check((status, out) == (0, "fine one\n"), f"{bad}: {out!r}")


def drips(args, path):
    """An answer that comes byte by byte is not waited for without end."""
    def drip(peer, _op, _path):
        for byte in good(b"0" * 1000):
            peer.sendall(bytes([byte]))
            time.sleep(1)

    with Server(path, drip) as server:
        start = time.monotonic()
        status, _, err = tool(args, "get", "--dir", path, server.pid, "slabinfo")
        check(status == 1 and "timed out" in err, f"{status} {err}")
        check(time.monotonic() - start < 15, "it takes too long")


def about_to_listen(args, path):
    """The socket of a process that is there, and doesn't listen yet, is left to it."""
    name = f"{path}/{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as early:
        early.bind(name)
        done = tool(args, "ls", "--dir", path)
        check(done == (0, "", "") and os.path.exists(name), f"it is removed: {done}")
    os.unlink(name)


def tell_lies(peer, op, path):
    """Links lead out of the tree, or to a name with a space; files have more rights than files have."""
    stats = {"": b"d 0555\n", "/out": b"l 0777 /etc/passwd\n", "/up": b"l 0777 ..\n",
             "/link": b"l 0777 a b\n", "/suid": b"- 4755\n", "/disk": b"- 60644\n"}
    if op == LIST:
        peer.sendall(good(b"l 0777 out\nl 0777 link\n- 0444 ../x\n"))
    elif op == STAT:
        text = stats.get(path)
        peer.sendall(good(text or b"", 0 if text else errno.ENOENT))


def mounted_liar(args, path):
    """Whoever lists a mount is not led astray by a process that lies."""
    if not os.path.exists("/dev/fuse"):
        harness.skip("there is no /dev/fuse")
    with Server(path, tell_lies) as server, tempfile.TemporaryDirectory() as mount:
        if tool(args, "mount", "--dir", path, mount)[0]:
            harness.skip("this machine lets nobody mount")
        try:
            tree = f"{mount}/{server.pid}"
            check(sorted(os.listdir(tree)) == ["link", "out"], f"{os.listdir(tree)}")
            check(os.readlink(f"{tree}/link") == "a b", "the link to a name with a space")
            for name in ("out", "up", "suid", "disk"):
                try:
                    check(False, f"{name}: {os.lstat(f'{tree}/{name}')}")
                except OSError as error:
                    check(error.errno == errno.EIO, f"{name}: {error}")
        finally:
            subprocess.run(["umount", mount] if os.geteuid() == 0 else ["fusermount3", "-u", mount],
                           check=True)


class Leaving:
    """Node 1 goes offline, a quarter at each look."""

    def __init__(self):
        self.used = 4 << 20

    def file(self, node, name):
        if name == "state":
            if node == "node0":
                return "online\n"
            return "going-offline\n" if self.used else "offline\n"
        if name == "meminfo":
            used = 1 << 20
            if node == "node1":
                self.used = used = max(self.used - (1 << 20), 0)
            return f"Node 0 MemTotal: {8 << 20} kB\nNode 0 MemUsed: {used} kB\n"
        if name == "numastat":
            return "numa_hit 5\nnuma_miss 6\n"
        return "10 20\n" if name == "distance" else "0-3\n"

    def answer(self, peer, op, path):
        if op == LIST:
            peer.sendall(good(b"- 0444 online\nd 0555 node0\nd 0555 node1\n"))
        elif op == READ and path.startswith(NODES):
            peer.sendall(good(self.file(*path[len(NODES):].split("/")).encode()))


def node_goes_offline(args, path):
    """`uslub node` follows it until it is done."""
    with Server(path, Leaving().answer) as server:
        status, out, err = tool(args, "node", "--dir", path, server.pid)
    rows = [line.split() for line in out.splitlines() if line.strip().startswith("1 ")]
    check((status, err) == (0, ""), f"{status} {err}")
    states = [row[1] for row in rows]
    check(states == ["going-offline"] * 4 + ["offline"], f"{states}")
    check([row[3] for row in rows] == ["3072M", "2048M", "1024M", "0K", "0K"], f"{rows}")
    check(rows[0][4] == "[########............]" and rows[-1][4] == "[" + "." * 20 + "]", f"{rows}")
    check(out.splitlines()[0].split() == ["NODE", "STATE", "SIZE", "USED", "HIT", "MISS", "CPUS",
                                          "DISTANCE"], out)


if __name__ == "__main__":
    run_cases(__doc__, [wrong_answers, strange_lists, drips, about_to_listen, mounted_liar,
                        node_goes_offline])
