# SPDX-License-Identifier: MIT
"""redis-server under redis-benchmark: strings, lists, sets, hashes and sorted sets, pipelined."""

import subprocess

from comparelib.allocators import BenchError

NEEDS = {"redis-server": "redis-server", "redis-tools": "redis-benchmark"}
RUNS = ("redis-server",)
# Debian links redis with jemalloc: this puts the C library's malloc before it.
BASELINE = "libc.so.6"
QUICK, FULL = 60000, 250000
TESTS = "set,get,incr,lpush,rpush,lpop,sadd,hset,spop,zadd,zpopmin"


def server(box):
    return ["redis-server", "--port", "0", "--unixsocket", box.run / "socket", "--dir", box.run,
            "--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning"]


def ask(box, *words):
    return box.plain("redis-cli", "-s", box.run / "socket", *words)


def ready(box):
    try:
        return ask(box, "ping").strip() == "PONG"
    except (BenchError, subprocess.SubprocessError):
        return False


def command(box):
    return ["redis-benchmark", "-s", box.run / "socket", "-q", "-c", 20, "-P", 16, "-n", box.size,
            "-r", box.size // 2, "-d", 120, "-t", TESTS]


def result(box, output):
    """Its keys are random: what has to be the same is that every test ended, and without errors."""
    ended = output.replace("\r", "\n").count("requests per second")
    if ended != len(TESTS.split(",")):
        raise BenchError(f"redis-benchmark ended {ended} of its tests")
    if int(ask(box, "dbsize")) < box.size // 4:
        raise BenchError("the keys are not there")
    return f"{ended} tests. {ask(box, 'info', 'errorstats')}"
