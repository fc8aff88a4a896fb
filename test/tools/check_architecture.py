"""Checks docs/ARCHITECTURE.md: its length, and that what it cites is in the source."""

import re

import repo

PAGE = "docs/ARCHITECTURE.md"
MAX_LINES = 150
CITED_NAME = re.compile(r"\b([A-Za-z_]\w*)\(\)")
CITED_FILE = re.compile(r"\b((?:core|preload|include|tools|test|bench|docs|scripts)/[\w./-]*\w)")


def names_in_source(tree):
    """Every name that stands before a parenthesis outside of comments."""
    names = set()
    for file in tree.c_files(*repo.PRODUCT):
        code = repo.without_comments(tree.text(file))
        names.update(re.findall(r"\b([A-Za-z_]\w*)\s*\(", code))
    return names


def check(tree, _arguments):
    if not tree.exists(PAGE):
        yield f"{PAGE} is missing"
        return
    lines = tree.text(PAGE).rstrip("\n").split("\n")
    if len(lines) > MAX_LINES:
        yield f"{PAGE}: {len(lines)} lines, at most {MAX_LINES} are allowed"
    names = names_in_source(tree)
    cited = 0
    for number, line in enumerate(lines, 1):
        for name in CITED_NAME.findall(line):
            cited += 1
            if name not in names:
                yield f"{PAGE}:{number}: {name}() is nowhere in the source"
        for file in CITED_FILE.findall(line):
            if not tree.exists(file):
                yield f"{PAGE}:{number}: there is no {file}"
    if cited == 0:
        yield f"{PAGE}: cites no function as name()"


if __name__ == "__main__":
    repo.main(check, __doc__)
