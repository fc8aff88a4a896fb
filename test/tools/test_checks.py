"""Tests that each repository check can fail: it gets a small tree with one thing wrong."""

import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))

GOOD = {
    "docs/layers.txt": "layer preload: preload/*\nuses preload: core/top.h\n"
                       "layer top: core/top.[ch]\nlayer low: core/low.[ch]\n"
                       "forbid core/*: stdio.h\n",
    "docs/ARCHITECTURE.md": "`low_get()` in core/low.c\n",
    "README.md": "```sh\n$ echo one two\none ...\n```\n",
    "preload/malloc.c": '#include "core/top.h"\nint top_of(void) { return top_get(); }\n',
    "core/top.h": '#include "low.h"\nint top_get(void);\n',
    "core/top.c": '#include "top.h"\nint top_get(void)\n{\n\treturn low_get();\n}\n',
    "core/low.h": "/* lowest */\nint low_get(void);\n",
    "core/low.c": '#include "low.h"\nint low_get(void)\n{\n\treturn 1;\n}\n',
    "test/CMakeLists.txt": "add_executable(one one.c)\n",
    "test/one.c": '#include "core/top.h"\nint main(void) { return top_get(); }\n',
}


def run(check, changes):
    """Status and output of a check on the good tree with changes; None removes a file."""
    with tempfile.TemporaryDirectory() as root:
        for file, text in {**GOOD, **changes}.items():
            if text is not None:
                os.makedirs(os.path.dirname(os.path.join(root, file)), exist_ok=True)
                with open(os.path.join(root, file), "w", encoding="utf-8") as stream:
                    stream.write(text)
        done = subprocess.run([sys.executable, "-B", os.path.join(HERE, check), root],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


class Checks(unittest.TestCase):
    def fails(self, check, changes, complaint):
        status, output = run(check, changes)
        self.assertEqual(status, 1, output)
        self.assertIn(complaint, output)

    def test_good_tree_passes(self):
        for check in ("layers", "architecture", "size", "words", "files", "readme"):
            status, output = run(f"check_{check}.py", {})
            self.assertEqual(status, 0, f"{check}: {output}")

    def test_layers(self):
        def fails(changes, complaint):
            self.fails("check_layers.py", changes, complaint)
        fails({"core/low.c": '#include "top.h"\n'}, "layer top is not below low")
        fails({"preload/malloc.c": '#include "core/low.h"\n'}, "may use only core/top.h")
        fails({"core/low.c": "#include <stdio.h>\n"}, "<stdio.h> is forbidden")
        fails({"core/new.c": "int new;\n"}, "matches none")
        fails({"core/top.c": None, "core/top.h": None}, "nothing matches core/top.[ch]")
        fails({"docs/layers.txt": "layer all: *\nnonsense\n"}, "neither 'layer'")
        fails({"docs/layers.txt": None}, "missing")

    def test_architecture(self):
        page = "docs/ARCHITECTURE.md"
        self.fails("check_architecture.py", {page: "`gone()`\n"}, "gone() is nowhere")
        self.fails("check_architecture.py", {page: "low_get() in core/gone.c\n"}, "no core/gone.c")
        self.fails("check_architecture.py", {page: "low_get()\n" * 151}, "151 lines")
        self.fails("check_architecture.py", {page: "nothing\n"}, "cites no function")
        self.fails("check_architecture.py", {page: "`old()`\n", "core/low.h": "/* old() */\n"},
                   "old() is nowhere")

    def test_size(self):
        body = "\tvalue++;\n"
        self.fails("check_size.py", {"core/low.h": "\n" * 501}, "501 lines")
        self.fails("check_size.py", {"core/low.c": f"int f(int value)\n{{\n{body * 58}}}\n"},
                   "f() has 61 lines")
        status, output = run("check_size.py", {"core/low.c": f"int f(int value)\n{{\n{body * 57}}}\n"})
        self.assertEqual(status, 0, output)

    def test_words(self):
        for word in ("TO" "DO", "XX" "X", "for" " now", "Not" " implemented"):
            self.fails("check_words.py", {"core/low.h": f"/* {word}: more */\n"}, word)

    def test_files(self):
        self.fails("check_files.py", {"core/low.c": '#include "gone.h"\n'}, "no such file")
        self.fails("check_files.py", {"test/two.c": "int main(void) { return 0; }\n"},
                   "test/two.c: no build file")

    def test_readme(self):
        def fails(block, complaint):
            self.fails("check_readme.py", {"README.md": f"```sh\n{block}\n```\n"}, complaint)
        fails("$ false", "status 1")
        fails("$ echo one\ntwo", "does not print: two")
        fails("$ printf 'b\\na\\n'\na\nb", "does not print: b")
        fails("$ test/programs/gone", "there is no test/programs/gone")
        fails("no prompt", "has no command")
        self.fails("check_readme.py", {"README.md": "[page](docs/gone.md)"}, "no docs/gone.md")


if __name__ == "__main__":
    unittest.main()
