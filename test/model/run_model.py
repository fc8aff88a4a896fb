#!/usr/bin/env python3
"""Searches the states of a Promela model with spin, and says whether the outcome is the expected one.

Without --error the search must be complete and find nothing. With it, the model carries a seeded error
(--define MUTANT_...), and the search must find one whose message matches.

A search that can't be run is a failure: spin or the compiler missing, memory or depth exhausted, or a
part of the model that no run ever reaches.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

MEMORY_MB = 1900
DEPTH = 1000000
SECONDS = 300

# A transition in the table of `pan -d`, and its case in pan.m.
TRANSITION = re.compile(r"state\s+(\d+) -\(tr\s+(\d+)\)-> state\s+\d+\s+\[.*\] (\S+:\d+) => (.*)")
CASE = re.compile(r"^\tcase (\d+): // STATE ", re.MULTILINE)
SKIP = 1  # the transition of skip, break and goto
UNREACHED = re.compile(r"\t(\S+:\d+), state (\d+), ")


class ModelError(Exception):
    pass


def run(command, directory):
    try:
        done = subprocess.run(command, cwd=directory, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=SECONDS, check=False)
    except FileNotFoundError:
        raise ModelError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise ModelError(f"{command[0]} took more than {SECONDS} s") from None
    return done.returncode, done.stdout


def run_checked(command, directory):
    status, output = run(command, directory)
    if status:
        raise ModelError(f"{' '.join(command)} failed:\n{output}")
    return output


def find_tool(name, package):
    if not shutil.which(name):
        raise ModelError(f"{name} is not installed: on Debian, apt-get install {package}")
    return name


def build(args, directory):
    source = os.path.dirname(os.path.abspath(args.model))
    for name in os.listdir(source):
        if name.endswith(".pml"):
            shutil.copy(os.path.join(source, name), directory)
    defines = [f"-D{name}" for name in args.define]
    if args.search == "progress":
        defines.append("-DPROGRESS")
    spin = find_tool("spin", "spin")
    model = os.path.basename(args.model)
    # spin says "Error" of a model that it can't read, and ends with 0.
    output = run_checked([spin, "-a", *defines, model], directory)
    if "rror:" in output or not os.path.exists(os.path.join(directory, "pan.c")):
        raise ModelError(f"spin can't read the model:\n{output}")
    kind = ["-DNP"] if args.search == "progress" else ["-DSAFETY"]
    # Conditions on whole processes are not known to the reduction.
    if re.search(r"\bprovided\b", run_checked([spin, "-I", *defines, model], directory)):
        kind.append("-DNOREDUCE")
    # A seeded error is found at once; a complete search is worth the optimiser's time.
    optimise = "-O0" if args.error else "-O1"
    run_checked([find_tool(args.cc, "gcc"), optimise, "-w", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MB}",
                 *kind, "-o", "pan", "pan.c"], directory)


class Table:
    """What `pan -d` and pan.m say of each process's transitions."""

    def __init__(self, directory):
        with open(os.path.join(directory, "pan.m"), encoding="utf-8") as file:
            parts = CASE.split(file.read())
        self.cases = {int(nr): body for nr, body in zip(parts[1::2], parts[2::2])}
        self.transitions = []  # (process, state, line, can it always be taken)
        process = None
        for line in run(["./pan", "-d"], directory)[1].splitlines():
            found = TRANSITION.search(line)
            if line.startswith(("proctype ", "init")):
                process = line.split()[-1]
            elif found:
                state, nr, at, text = found.groups()
                self.transitions.append((process, int(state), at, self.is_free(int(nr), text)))
        if not self.transitions:
            raise ModelError("pan -d shows no transitions")

    def is_free(self, nr, text):
        """Can it be taken whatever the variables are? A condition that fails makes pan `continue`."""
        if text in ("else", "(1)", "-end-") or text.startswith("(run ") or nr == SKIP:
            return True
        body = self.cases[nr]
        guard = body.split("sv_save()")[0]
        return "continue;" not in guard or "/* else */" in guard

    def find_blocked(self):
        """A state of a process other than init in which all depends on the variables."""
        states = {}
        for process, state, at, free in self.transitions:
            if process != ":init:" and process != "init":
                known = states.setdefault((process, state), [at, False])
                known[1] = known[1] or free
        blocked = sorted({at for at, free in states.values() if not free})
        return "a process could be made to wait at " + ", ".join(blocked) if blocked else None

    def find_unreached(self, output):
        """A line of which no copy was reached by any process."""
        unreached, process = set(), None
        for line in output.splitlines():
            if line.startswith("unreached in "):
                process = line.split()[-1]
            found = UNREACHED.match(line)
            if found:
                unreached.add((process, int(found.group(2))))
        lines = {}
        for process, state, at, _ in self.transitions:
            process = "init" if process == ":init:" else process
            lines[at] = lines.get(at, False) or (process, state) not in unreached
        missed = sorted(at for at, reached in lines.items() if not reached)
        return "no run reaches " + ", ".join(missed) if missed else None


def check_complete(output):
    for sign in ("max search depth too small", "Search not completed", "reached -DMEMLIM",
                 "out of memory"):
        if sign in output:
            raise ModelError(f"the search is not complete ({sign!r}):\n{output}")


def summary(output):
    words = []
    for pattern in (r"(\d+) states, stored", r"depth reached (\d+)",
                    r"([\d.]+)\s+total actual memory usage", r"elapsed time ([\d.e+]+)"):
        found = re.search(pattern, output)
        words.append(found.group(1) if found else "?")
    return "{} states, depth {}, {} MB, {} s".format(*words)


def find_error(args, output, table):
    """What pan, or the table of transitions, has against the model; None: nothing."""
    errors = re.search(r"errors: (\d+)", output)
    if not errors:
        raise ModelError(f"the search came to no result:\n{output}")
    if errors.group(1) != "0":
        message = re.search(r"^pan:\d+: (.*)$", output, re.MULTILINE)
        return message.group(1) if message else "an error without a message"
    check_complete(output)
    if args.search == "progress":
        return table.find_blocked()
    return None if args.part else table.find_unreached(output)


def check_outcome(args, output, table):
    error = find_error(args, output, table)
    if not args.error:
        if error:
            raise ModelError(f"the model has an error: {error}\n{output}")
        print(f"no error: {summary(output)}")
    elif not error:
        raise ModelError(f"the seeded error was not found; {summary(output)}")
    elif not re.search(args.error, error):
        raise ModelError(f"another error was found than /{args.error}/: {error}\n{output}")
    else:
        print(f"found, as it must be: {error}; {summary(output)}")


def show_trail(args, directory):
    model = os.path.basename(args.model)
    if os.path.exists(os.path.join(directory, model + ".trail")):
        defines = [f"-D{name}" for name in args.define]
        print(run(["spin", "-t", "-p", *defines, model], directory)[1][-20000:])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="the .pml file")
    parser.add_argument("--search", choices=("safety", "progress"), default="safety",
                        help="assertions and deadlocks, or waiting and cycles")
    parser.add_argument("--define", action="append", default=[], metavar="NAME")
    parser.add_argument("--part", action="store_true",
                        help="a case of which another search reaches the other lines")
    parser.add_argument("--error", metavar="REGEX", help="an error that must be found")
    parser.add_argument("--cc", default="gcc", help="compiler for the search")
    parser.add_argument("--trail", action="store_true", help="print the steps to an error")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="uslub-model-") as directory:
        try:
            build(args, directory)
            search = ["-E", "-l"] if args.search == "progress" else ["-E"]
            output = run(["./pan", f"-m{DEPTH}", *search], directory)[1]
            if args.trail:
                show_trail(args, directory)
            check_outcome(args, output, Table(directory))
        except ModelError as error:
            print(f"{os.path.basename(args.model)}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
