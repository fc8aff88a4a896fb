"""Checks what README.md claims: runs the commands of its `sh` blocks.

A command is a line "$ COMMAND" of a block that opens with ```sh. It must end with status 0. Lines
after it are its output, standard output and error together: each must appear, in order, and "..."
in one stands for anything. Commands that take long, or change the system, are not run here, but the
program they name must exist. Paths and links of README.md must exist too.
"""

import fnmatch
import os
import re
import shutil
import subprocess

import repo

PAGE = "README.md"
SECONDS = 120
# Run by ./check itself, by its other tests, or not by a test at all.
EXPENSIVE = [r"(\.ci/run|\./check)(?! --help)\b", r"\./run$", r"(sudo|apt-get|git clone|cd)\b",
             r"(cmake|ctest|ninja|make|gcc|cc|clang|g\+\+)\b", r"(\./)?(bench|test/programs)/"]
# A program before others, with settings of the environment before it.
FIRST_WORD = re.compile(r"(?:\w+=\S*\s+)*(\S+)")


def blocks(text):
    """Yields (line number, lines) of every ```sh block."""
    inside = None
    for number, line in enumerate(text.split("\n"), 1):
        if inside is None and line.strip() == "```sh":
            inside = (number + 1, [])
        elif inside is not None and line.strip() == "```":
            yield inside
            inside = None
        elif inside is not None:
            inside[1].append(line)


def commands(text):
    """Yields (line number, command, expected output lines); a \\ at the end continues a command."""
    for first, lines in blocks(text):
        if not lines or not lines[0].startswith("$ "):
            continue
        found = []
        continued = False
        for number, line in enumerate(lines, first):
            if continued:
                found[-1][1] += "\n" + line
            elif line.startswith("$ "):
                found.append([number, line[2:], []])
            elif line.strip():
                found[-1][2].append(line.strip())
            continued = line.endswith("\\")
        yield from found


def missing_output(expected, output):
    """The first expected line that does not come in its turn, or None."""
    lines = iter(line.strip() for line in output.split("\n"))
    for want in expected:
        pattern = re.sub(r"([\[\]*?])", r"[\1]", want).replace("...", "*")
        if not any(fnmatch.fnmatchcase(line, pattern) for line in lines):
            return want
    return None


def run(tree, number, command, expected):
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("LD_PRELOAD", "USLUB")}
    try:
        done = subprocess.run(["bash", "-c", command], cwd=tree.root, env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        yield f"{PAGE}:{number}: still running after {SECONDS} s: {command}"
        return
    print(f"ran: {command}")
    if done.returncode != 0:
        yield f"{PAGE}:{number}: status {done.returncode}: {command}\n{done.stdout[-2000:]}"
        return
    missing = missing_output(expected, done.stdout)
    if missing is not None:
        yield (f"{PAGE}:{number}: {command}\n  does not print: {missing}\n  but:\n"
               f"{done.stdout[-2000:]}")


def program_exists(tree, command):
    word = FIRST_WORD.match(command).group(1)
    return word == "cd" or (tree.exists(word) if "/" in word else shutil.which(word) is not None)


def missing_links(tree, text):
    for number, line in enumerate(text.split("\n"), 1):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", line):
            if not tree.exists(target):
                yield f"{PAGE}:{number}: there is no {target}"


def check(tree, _arguments):
    if not tree.exists(PAGE):
        yield f"{PAGE} is missing"
        return
    text = tree.text(PAGE)
    yield from missing_links(tree, text)
    found = 0
    for number, command, expected in commands(text):
        found += 1
        if not any(re.match(pattern, command) for pattern in EXPENSIVE):
            yield from run(tree, number, command, expected)
        elif not program_exists(tree, command):
            yield f"{PAGE}:{number}: there is no {FIRST_WORD.match(command).group(1)}"
    if found == 0:
        yield f"{PAGE}: has no command in a ```sh block"


if __name__ == "__main__":
    repo.main(check, __doc__)
