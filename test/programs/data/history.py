"""Writes a history for git fast-import: history.py TREE COMMITS

The files are the sources of TREE, changed line by line in commits of several authors, with a
merge now and then.  The same tree gives the same history.
"""

import os
import random
import sys

SUFFIXES = ('.c', '.h', '.py', '.md', '.txt', '.sh', '.cc')


def sources(tree):
    found = {}
    for directory, directories, files in os.walk(tree):
        directories[:] = sorted(d for d in directories if d not in ('.git', 'build'))
        for name in sorted(files):
            if name.endswith(SUFFIXES):
                path = os.path.join(directory, name)
                with open(path, encoding='utf-8', errors='replace') as file:
                    found[os.path.relpath(path, tree)] = file.read().splitlines()
    return found


def generated(number, rng):
    return [f'static int value_{number}_{line} = {rng.randrange(10**6)};' for line in range(200)]


class History:
    def __init__(self, files, rng):
        self.files = files
        self.rng = rng
        self.mark = 0
        self.out = sys.stdout.buffer

    def write(self, text):
        self.out.write(text.encode())

    def data(self, text):
        raw = text.encode()
        self.out.write(b'data %d\n%s\n' % (len(raw), raw))

    def commit(self, branch, message, changed, parents=()):
        self.mark += 1
        who = f'Author {self.mark % 17} <author{self.mark % 17}@example.org>'
        when = f'{1500000000 + self.mark * 977} +0000'
        self.write(f'commit refs/heads/{branch}\nmark :{self.mark}\n')
        self.write(f'author {who} {when}\ncommitter {who} {when}\n')
        self.data(message)
        for keyword, parent in zip(('from', 'merge'), parents):
            self.write(f'{keyword} :{parent}\n')
        for name in changed:
            self.write(f'M 100644 inline {name}\n')
            self.data('\n'.join(self.files[name]) + '\n')
        self.write('\n')
        return self.mark

    def edit(self, name):
        lines = self.files[name]
        at = self.rng.randrange(len(lines) + 1)
        kind = self.rng.randrange(3)
        if kind == 0 and len(lines) > 5:
            del lines[at:at + self.rng.randrange(1, 5)]
        elif kind == 1 and lines:
            at = min(at, len(lines) - 1)
            lines[at] = lines[at][::-1]
        else:
            lines[at:at] = [f'/* return {self.rng.randrange(10**9)} static */'
                            for _ in range(self.rng.randrange(1, 9))]


def main():
    tree, commits = sys.argv[1], int(sys.argv[2])
    rng = random.Random(1)
    files = sources(tree)
    for number in range(150):
        files[f'generated/part{number % 10}/file-{number:03}'] = generated(number, rng)
    files['file-000'] = generated(1000, rng)
    history = History(files, rng)
    names = sorted(files)
    tip = history.commit('main', 'Start', names)
    while history.mark < commits:
        changed = sorted({rng.choice(names) for _ in range(3)} | {'file-000'})
        for name in changed:
            history.edit(name)
        parents = [tip]
        if history.mark % 25 == 24:
            side = history.commit('main', 'On the side', changed[:1], [tip])
            parents = [tip, side]
        tip = history.commit('main', f'Change {history.mark}\n\nIn {", ".join(changed)}', changed,
                             parents)
    history.write('done\n')


main()
