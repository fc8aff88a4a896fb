"""Runs one of clang-format, clang-tidy, cppcheck or shellcheck over the tree; any complaint fails.

Usage: lint.py TOOL ROOT BUILD; BUILD has the compile_commands.json.
"""

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys

import repo

VERSION = "14"
# clang reads command lines that were written for gcc.
FOR_GCC = ["-Wno-unknown-warning-option", "-Wno-ignored-optimization-argument",
           "-Wno-unknown-attributes"]

# What shellcheck says of variables that a script shares with one that it sources: set there and
# used here, or an array in one and a string in the other. And `a= b=`, which empties both.
NOT_ASKED = "SC2034,SC2128,SC2154,SC2178,SC1007"


def find(*names):
    for name in names:
        if shutil.which(name):
            return name
    sys.exit(f"lint: there is no {' or '.join(names)}; ./check installs it")


def compiled(build, root, directories):
    """The sources below `directories` that the build compiles, once each."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    files = {os.path.realpath(os.path.join(entry["directory"], entry["file"])) for entry in entries}
    wanted = tuple(os.path.join(root, directory) + "/" for directory in directories)
    return sorted(file for file in files if file.startswith(wanted))


def run_each(commands):
    """Runs the commands, as many at once as there are processors; returns how many failed."""
    def run(command):
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in pool.map(run, commands):
            if done.returncode != 0:
                failed += 1
                print(done.stdout)
    return failed


def clang_format(tree, _build):
    tool = find(f"clang-format-{VERSION}", "clang-format")
    return [[tool, "--dry-run", "-Werror", "--style=file", tree.path(file)]
            for file in tree.c_files("core/", "preload/", "siglog/", "include/", "tools/", "test/", "bench/")
            if "/data/" not in file]


def clang_tidy(tree, build):
    tool = find(f"clang-tidy-{VERSION}", "clang-tidy")
    extra = [f"--extra-arg={flag}" for flag in FOR_GCC]
    return [[tool, "--quiet", "-p", build, *extra, file]
            for file in compiled(build, tree.root, ("core", "preload", "siglog", "tools"))]


def cppcheck(tree, build):
    tool = find("cppcheck")
    files = compiled(build, tree.root, ("core", "preload", "siglog", "tools"))
    filters = [f"--file-filter={file}" for file in files]
    if not files:
        return []
    machine = f"-D__{os.uname().machine}__=1"  # what the compiler defines by itself
    return [[tool, "--quiet", "--error-exitcode=1", machine, "--inline-suppr",
             "--enable=warning,performance,portability",
             f"--suppressions-list={tree.path('test/tools/cppcheck.txt')}",
             f"--project={build}/compile_commands.json", *filters]]


def shellcheck(tree, _build):
    tool = find("shellcheck")
    scripts = [file for file in tree.files
               if file.endswith(".sh") or (tree.text(file) or "").startswith(("#!/usr/bin/env bash",
                                                                              "#!/bin/bash",
                                                                              "#!/bin/sh"))]
    return [[tool, "--external-sources", "--severity=warning", f"--exclude={NOT_ASKED}",
             tree.path(file)] for file in scripts]


def main():
    tools = {"clang-format": clang_format, "clang-tidy": clang_tidy, "cppcheck": cppcheck,
             "shellcheck": shellcheck}
    if len(sys.argv) != 4 or sys.argv[1] not in tools:
        sys.exit(__doc__)
    commands = tools[sys.argv[1]](repo.Tree(os.path.realpath(sys.argv[2])), sys.argv[3])
    if not commands:
        sys.exit("lint: there are no files to check")
    failed = run_each(commands)
    print(f"{sys.argv[1]}: {failed} of {len(commands)} runs complain")
    sys.exit(1 if failed else 0)


main()
