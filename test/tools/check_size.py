"""Checks the length of all C files, and of the functions of what is shipped."""

import subprocess

import repo

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60


def functions(tree, files):
    """(file, name, first line, last line) of every function, as universal-ctags sees them."""
    command = ["ctags", "-x", "--language-force=C", "--kinds-C=f", "-I", "__attribute__+",
               "--_xformat=%F\t%N\t%n\t%e", "-L", "-"]
    run = subprocess.run(command, cwd=tree.root, input="\n".join(files), text=True,
                         capture_output=True, check=True)
    for line in run.stdout.splitlines():
        file, name, first, last = line.split("\t")
        yield file, name, int(first), int(last)


def check(tree, _arguments):
    files = tree.c_files(*repo.PRODUCT)
    if not files:
        yield "there are no sources to check"
        return
    for file in tree.c_files():
        lines = tree.text(file).count("\n")
        if lines > MAX_FILE_LINES:
            yield f"{file}: {lines} lines, at most {MAX_FILE_LINES} are allowed"
    found = 0
    for file, name, first, last in functions(tree, files):
        found += 1
        if last - first + 1 > MAX_FUNCTION_LINES:
            yield (f"{file}:{first}: {name}() has {last - first + 1} lines, "
                   f"at most {MAX_FUNCTION_LINES} are allowed")
    if found == 0:
        yield "ctags finds no function: is it universal-ctags?"


if __name__ == "__main__":
    repo.main(check, __doc__)
