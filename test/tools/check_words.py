"""Checks that no word is left that says a thing is unfinished."""

import re

import repo

# Each pattern is written so that it does not match itself.
WORDS = re.compile(r"\b(?:T[O]DO|F[I]XME|X[X]X|H[A]CK)\b"
                   r"|\b(?i:not[ ]implemented|unimplemente[d]|place[-]?hold[e]r|for[ ]now)\b")


def check(tree, _arguments):
    if not tree.files:
        yield "there are no files to check"
    for file in tree.files:
        text = tree.text(file)
        for number, line in enumerate((text or "").split("\n"), 1):
            match = WORDS.search(line)
            if match:
                yield f"{file}:{number}: '{match.group()}': {line.strip()[:80]}"


if __name__ == "__main__":
    repo.main(check, __doc__)
