# SPDX-License-Identifier: MIT
"""ghostscript: a document of text and drawings, page after page made into a picture."""

import hashlib

NEEDS = {"ghostscript": "gs"}
RUNS = ("gs",)
QUICK, FULL = 16, 60  # pages

HEAD = """%!PS-Adobe-3.0
/line { moveto show } bind def
/box { newpath moveto 0 40 rlineto 60 0 rlineto 0 -40 rlineto closepath } bind def
"""


def page(number, lines):
    text = [f"%%Page: {number} {number}", "/Times-Roman findfont 9 scalefont setfont"]
    for at, line in enumerate(lines):
        text.append(f"({line}) 50 {790 - at * 11} line")
    for shape in range(40):
        x, y = (shape * 97 + number * 13) % 500 + 20, (shape * 61 + number * 7) % 700 + 20
        text.append(f"gsave {x} {y} box {shape % 10 / 10} {number % 7 / 7} 0.9 setrgbcolor "
                    f"{'fill' if shape % 3 else 'stroke'} grestore")
        text.append(f"newpath {x} {y} moveto {x + 50} {y + 90} {y % 300} {x} 300 300 curveto "
                    "0.3 setlinewidth stroke")
    return "\n".join([*text, "showpage", ""])


def setup(box):
    from comparelib.programs_box import prose
    lines = prose(12, box.size * 500).split("\n")
    pages = [page(n + 1, lines[n * 40:n * 40 + 60]) for n in range(box.size)]
    (box.input / "document.ps").write_text(HEAD + "".join(pages) + "%%EOF\n")


def command(box):
    return ["gs", "-q", "-dSAFER", "-dBATCH", "-dNOPAUSE", "-dGraphicsAlphaBits=4",
            "-dTextAlphaBits=4", "-sDEVICE=png16m", "-r30", f"-sOutputFile={box.run}/page-%d.png",
            box.input / "document.ps", "-c", "showpage"]


def result(box, _output):
    pages = sorted(box.run.glob("page-*.png"))
    if len(pages) < box.size:
        return ""
    return hashlib.sha256(b"".join(one.read_bytes() for one in pages)).hexdigest()
