# SPDX-License-Identifier: MIT
"""python3 without its own pools: parses, walks, prints and compiles its library's modules.

PYTHONMALLOC=malloc, as those set it who preload a malloc: each of millions of small objects is one.
"""

NEEDS = {"python3": "/usr/bin/python3"}
RUNS = ("python3",)
ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONMALLOC": "malloc"}
QUICK, FULL = 14, 90

SCRIPT = r"""
import ast, hashlib, pathlib, sys, sysconfig
library = pathlib.Path(sysconfig.get_paths()["stdlib"])
files = sorted(library.glob("*.py"), key=lambda file: (-file.stat().st_size, file.name))
found, trees = hashlib.sha256(), []
for file in files[:int(sys.argv[1])]:
    tree = ast.parse(file.read_bytes())
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names.setdefault(node.id, []).append((node.lineno, node.col_offset))
    text = ast.unparse(tree)
    found.update(compile(text, file.name, "exec").co_code)
    found.update(repr(sorted(names.items())).encode())
    trees.append(tree)
    if len(trees) > 4:
        del trees[0]
print(found.hexdigest())
"""


def setup(box):
    (box.input / "work.py").write_text(SCRIPT)


def command(box):
    return ["/usr/bin/python3", "-IS", box.input / "work.py", box.size]
