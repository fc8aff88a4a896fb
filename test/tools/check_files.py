"""Checks that every #include has its file, and that every file of test/ and bench/ is in use.

A file is in use where it is a CMakeLists.txt, where one of the build's files matches it with a glob
pattern, where another file there names it (with its suffix, or a build file without), or where it
lies in a directory that a build file or a script names as a whole.
"""

import fnmatch
import os
import re

import repo

TEST_DIRECTORIES = ("test/", "bench/")


def missing_includes(tree):
    for file in tree.c_files():
        for number, form, name in repo.includes(tree.text(file)):
            ours = form == '"' or name.startswith("uslub/")
            if ours and repo.resolve_include(tree, file, name) is None:
                yield f"{file}:{number}: #include of {name}: there is no such file"


def glob_patterns(tree):
    """Every word with a * in the build files, as a path from the root."""
    for cmake in tree.cmake_files():
        directory = os.path.dirname(cmake)
        for word in re.findall(r"[^\s\"()]*\*[^\s\"()]*", tree.text(cmake)):
            word = re.sub(r"\$\{(PROJECT|CMAKE)_SOURCE_DIR\}/", "/", word)
            word = re.sub(r"\$\{CMAKE_CURRENT_(SOURCE|LIST)_DIR\}/", "", word)
            yield word.lstrip("/") if word.startswith("/") else os.path.join(directory, word)


def names_a_directory_of(text, file):
    """Whether a script walks over the directory: "cases/", cases/*, $here/cases."""
    directory = re.escape(os.path.basename(os.path.dirname(file)))
    return re.search(rf"""[/"']{directory}(?![\w.-])|(?<![\w-]){directory}/[*$]""",
                     text) is not None


def is_used(file, texts, patterns):
    base = os.path.basename(file)
    if base == "CMakeLists.txt" or any(fnmatch.fnmatchcase(file, one) for one in patterns):
        return True
    stem = os.path.splitext(base)[0]
    by_base = re.compile(rf"(?<![\w-]){re.escape(base)}(?![\w-])")
    by_stem = re.compile(rf"(?<![\w-]){re.escape(stem)}(?![\w-])")
    for other, text in texts.items():
        if other == file:
            continue
        in_build = os.path.basename(other) == "CMakeLists.txt" or other.endswith(".cmake")
        near = file.startswith(os.path.dirname(other) + "/")
        if by_base.search(text) or (in_build or other.endswith(".py")) and near \
                and by_stem.search(text):
            return True
        if near and os.path.dirname(file) != os.path.dirname(other) \
                and not other.endswith(repo.C_SUFFIXES) and names_a_directory_of(text, file):
            return True
    return False


def check(tree, _arguments):
    yield from missing_includes(tree)
    files = [file for file in tree.files if file.startswith(TEST_DIRECTORIES)]
    if not files:
        yield "there are no tests"
    texts = {file: tree.text(file) or "" for file in files}
    for script in ("check", "CMakeLists.txt", "CMakePresets.json"):
        if tree.exists(script):
            texts[script] = tree.text(script)
    patterns = list(glob_patterns(tree))
    for file in files:
        if not is_used(file, texts, patterns):
            yield f"{file}: no build file, script or test names it"


if __name__ == "__main__":
    repo.main(check, __doc__)
