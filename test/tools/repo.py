"""What the repository checks share: the files of the tree, C without comments, the verdict."""

import argparse
import os
import re
import sys

# Not ours to judge: what builds leave, and git's own.
SKIPPED_DIRECTORIES = {".git", "build", "__pycache__", ".cache", "node_modules"}
PRODUCT = ("core/", "preload/", "siglog/", "include/", "tools/")
C_SUFFIXES = (".c", ".h", ".cc", ".cpp", ".hpp")

# One pass, so that a quote in a comment and a comment sign in a string are told apart.
C_TOKEN = re.compile(r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' """,
                     re.DOTALL | re.VERBOSE)


class Tree:
    """The files under a root, by their paths relative to it."""

    def __init__(self, root):
        self.root = root
        self.files = sorted(self._walk())

    def _walk(self):
        for directory, names, files in os.walk(self.root):
            names[:] = [name for name in names if name not in SKIPPED_DIRECTORIES]
            for name in files:
                yield os.path.relpath(os.path.join(directory, name), self.root)

    def path(self, file):
        return os.path.join(self.root, file)

    def exists(self, file):
        return os.path.exists(self.path(file))

    def text(self, file):
        """None where the file is no text."""
        with open(self.path(file), "rb") as stream:
            data = stream.read()
        if b"\0" in data:
            return None
        return data.decode("utf-8", errors="replace")

    def c_files(self, *prefixes):
        return [file for file in self.files
                if file.endswith(C_SUFFIXES) and file.startswith(prefixes or ("",))]

    def cmake_files(self):
        return [file for file in self.files
                if os.path.basename(file) == "CMakeLists.txt" or file.endswith(".cmake")]


def without_comments(text):
    """C source with comments blanked; lines keep their numbers."""
    def blank(match):
        token = match.group()
        if token.startswith(("/*", "//")):
            return re.sub(r"[^\n]", " ", token)
        return token
    return C_TOKEN.sub(blank, text)


def includes(text):
    """(line number, form, name) of every #include; form is '"' or '<'."""
    found = []
    for number, line in enumerate(without_comments(text).split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if match:
            found.append((number, match.group(1), match.group(2)))
    return found


def resolve_include(tree, file, name):
    """The file of the tree that an #include of `name` in `file` means, or None."""
    for place in (os.path.dirname(file), "", "include"):
        candidate = os.path.normpath(os.path.join(place, name))
        if candidate in tree.files:
            return candidate
    # An include directory of one target.
    return next((candidate for candidate in tree.files if candidate.endswith("/" + name)), None)


def main(check, description, extra=None):
    """Runs check(tree, arguments), which yields complaints; any of them fails the test."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("root", help="the top of the source tree")
    if extra:
        extra(parser)
    arguments = parser.parse_args()
    tree = Tree(os.path.abspath(arguments.root))
    complaints = list(check(tree, arguments))
    for complaint in complaints:
        print(complaint)
    print(f"{len(complaints)} complaints")
    sys.exit(1 if complaints else 0)
