"""The programs of test/anycontext: how each is run once, and what is right of it. Used by run.

A case returns how many handlers ran and how many of them interrupted malloc, where that is known.
"""

import os
import re
import signal
import sys
import time

import watch

HERE = os.path.dirname(os.path.abspath(__file__))


class Setting:
    """What a run needs to know: where the programs are, and the allocator."""

    def __init__(self, programs, library, limits):
        self.programs = programs
        self.library = library
        self.limits = limits
        self.expected = {}

    def program(self, name):
        return os.path.join(self.programs, f"anycontext_{name}")

    def preload(self, *further):
        """The environment under the allocator; TEST_ALLOCATOR is what check.h holds malloc against."""
        name = os.path.basename(self.library).partition(".")[0]
        return {"LD_PRELOAD": " ".join([self.library, *further]), "TEST_ALLOCATOR": name}


def run_program(setting, directory, name, *words, **expected):
    program = watch.Program(name, [setting.program(name), *words], directory, setting.preload())
    try:
        watch.wait(program, setting.limits, **expected)
    finally:
        program.kill()
    return program


def compare(setting, name, found, make):
    """With the output of a run without handler and allocator, which is made once."""
    if name not in setting.expected:
        setting.expected[name] = make()
    if found != setting.expected[name]:
        raise watch.Ended("wrong", f"{found[-300:]} instead of {setting.expected[name][-300:]}")


def need(text, *parts):
    for part in parts:
        if part not in text:
            raise watch.Ended("wrong", f"'{part}' is not in: ...{text[-300:]}")


def handlers_of(program):
    """What a program says at its good end."""
    said = re.search(r"right: (\d+) handlers, (\d+) of them", program.text("out"))
    if not said:
        raise watch.Ended("wrong", f"{program.name} says nothing of its handlers")
    return int(said[1]), int(said[2])


def crash_trace(setting, directory):
    """backward-cpp's crash handler, SIGSEGV at a random moment in one of three busy threads"""
    program = run_program(setting, directory, "crash_trace",
                          expected_signal=signal.SIGSEGV, each=True)
    trace = program.text("err")
    # One that crashed in the handler died by the same signal, but without its last words.
    if "Segmentation fault" not in trace:
        raise watch.Ended("crashed", "the trace breaks off")
    need(trace, "Stack trace (most recent call last)", "busy_with_strings")
    return 0, 0


def log_handler(setting, directory):
    """spdlog called from a SIGPROF handler, three threads that work with strings"""
    log = os.path.join(directory, "log")
    return handlers_of(run_program(setting, directory, "log_handler", log))


def symbols(setting, directory):
    """backtrace_symbols() in a SIGPROF handler, three threads that work with strings"""
    return handlers_of(run_program(setting, directory, "symbols"))


def first_touch(setting, directory):
    """SIGPROF handlers that touch dlopened modules' TLS first, in 300 threads"""
    modules = [setting.program(f"module{size}.so") for size in (1100, 3000, 9000, 40000)]
    return handlers_of(run_program(setting, directory, "first_touch", *modules))


def injected(setting, directory, rate):
    """The environment with the handler, so many times a second, and the file of its report."""
    path = os.path.join(directory, "injected.report")
    environment = setting.preload(setting.program("injected.so"))
    return {**environment, "INJECTED_REPORT": path, "INJECTED_RATE": str(rate)}, path


def check_injected(path, handlers, inside):
    """That the handler ran often, and often in malloc."""
    try:
        with open(path, encoding="utf-8") as file:
            counts = [[int(word) for word in line.split()] for line in file]
    except FileNotFoundError:
        counts = []
    ran = [sum(column) for column in zip(*counts)] or [0, 0]
    if ran[0] < handlers or ran[1] < inside:
        raise watch.Ended("wrong", f"{ran[0]} handlers ran, {ran[1]} of them inside malloc")
    return ran


def run_script(setting, directory, name, environment):
    program = watch.Program(name, [sys.executable, "-B", os.path.join(HERE, "script.py")], directory,
                            {**environment, "PYTHONMALLOC": "malloc"})
    try:
        watch.wait(program, setting.limits)
    finally:
        program.kill()
    return program.text("out")


def python(setting, directory):
    """python3 on a script, under an injected SIGPROF handler that allocates"""
    environment, path = injected(setting, directory, 8000)
    compare(setting, "python", run_script(setting, directory, "python", environment),
            lambda: run_script(setting, directory, "plain", {}))
    return check_injected(path, 300, 10)


def write_commands(path):
    """Every type of value, of some bytes to some thousands."""
    with open(path, "w", encoding="utf-8") as file:
        for i in range(4000):
            file.write(f"SET string:{i} {i:0{1 + i * 7 % 4000}d}\r\n"
                       f"HSET hash:{i % 90} field{i} value{i * 3}\r\n"
                       f"RPUSH list:{i % 60} element{i}\r\n"
                       f"ZADD sorted:{i % 30} {i * 7919 % 10007} member{i}\r\n"
                       f"APPEND string:{i // 2} {i}\r\n")
            if i % 3 == 0:
                file.write(f"DEL string:{i // 2}\r\n")


QUESTIONS = b"""DBSIZE
DEBUG DIGEST
ZRANGE sorted:7 0 20 WITHSCORES
SORT list:3 ALPHA LIMIT 0 20
STRLEN string:3901
HGETALL hash:11
"""


class Redis:
    """A server in a directory of its own, and its clients, which are ordinary programs."""

    def __init__(self, setting, directory, environment):
        self.limits = setting.limits
        self.directory = directory
        self.server = watch.Program("redis-server", [
            "redis-server", "--port", "0", "--unixsocket", "redis.sock", "--dir", directory,
            "--save", "", "--enable-debug-command", "yes"], directory, environment)

    def client(self, name, *words, stdin=None):
        client = watch.Program(name, [name, "-s", "redis.sock", *words], self.directory, stdin=stdin)
        try:
            watch.wait(client, self.limits, self.server)
        finally:
            client.kill()
        return client.text("out")

    def client_reads(self, name, *words):
        with open(os.path.join(self.directory, name), "rb") as file:
            return self.client("redis-cli", *words, stdin=file)

    def await_start(self):
        end = time.monotonic() + self.limits[0]
        while not os.path.exists(os.path.join(self.directory, "redis.sock")):
            watch.check_died(self.server)
            if time.monotonic() > end or self.server.hangs(self.limits[1], False):
                raise watch.Ended("hung", "redis-server does not start")
            time.sleep(watch.TICK)

    def work(self):
        """Load, then known data, and what redis says of it; ends the server."""
        self.await_start()
        self.client("redis-benchmark", "-q", "-c", "20", "-P", "4", "-n", "8000", "-r", "500",
                    "-d", "3000", "-t", "set,get,lpush,lpop,hset,zadd")
        self.client("redis-cli", "FLUSHALL")
        need(self.client_reads("commands", "--pipe"), "errors: 0")
        need(self.client("redis-cli", "BGSAVE"), "Background saving started")
        answers = self.client_reads("questions")
        self.client("redis-cli", "SHUTDOWN", "NOSAVE")
        watch.wait(self.server, self.limits)
        return answers


def run_redis(setting, directory, environment):
    os.mkdir(directory)
    write_commands(os.path.join(directory, "commands"))
    with open(os.path.join(directory, "questions"), "wb") as file:
        file.write(QUESTIONS)
    redis = Redis(setting, directory, environment)
    try:
        return redis.work()
    finally:
        redis.server.kill()


def redis_server(setting, directory):
    """redis-server under redis-benchmark, under an injected SIGPROF handler that allocates"""
    environment, path = injected(setting, directory, 8000)
    compare(setting, "redis", run_redis(setting, os.path.join(directory, "redis"), environment),
            lambda: run_redis(setting, os.path.join(directory, "plain"), {}))
    return check_injected(path, 300, 10)


CASES = {"crash_trace": crash_trace, "log_handler": log_handler, "symbols": symbols,
         "first_touch": first_touch, "python": python, "redis": redis_server}
