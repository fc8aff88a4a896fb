# SPDX-License-Identifier: MIT
"""Draws charts as SVG: curves over linear or logarithmic axes, and bars of ratios with whiskers.

Colours are close to those of Okabe and Ito, which colour-blind readers can tell apart; uslub's line is
the thickest, and each line ends in its name. Greys can be read on white and on black; the background
is the page's own.
"""

import math
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Optional, Sequence

COLOURS = {
    "uslub": "#d55e00",
    "glibc": "#0072b2",
    "jemalloc": "#009e73",
    "mimalloc": "#cc79a7",
    "tcmalloc": "#56b4e9",
    "tbb": "#b8860b",
    "floor": "#808080",
    "control": "#808080",
    "live": "#808080",
}
OTHER_COLOURS = ("#6a51a3", "#8c564b", "#17becf", "#7f7f7f")
INK = "#767676"  # text and axes: 4.5 to 1 on white, and as much on black
GRID = "#80808040"

WIDTH = 760
MARGIN_LEFT = 76
MARGIN_RIGHT = 110
TOP = 62
FONT = "font-family=\"'DejaVu Sans', Verdana, sans-serif\""

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def colour(name: str) -> str:
    return COLOURS.get(name) or OTHER_COLOURS[sum(name.encode()) % len(OTHER_COLOURS)]


def number(value: float) -> str:
    """As short as it can be said: 0.5, 1500, 10 with a power."""
    if value and (abs(value) >= 1e4 or abs(value) < 1e-3):
        exponent = math.floor(math.log10(abs(value)) + 1e-9)
        factor = value / 10**exponent
        power = "10" + str(exponent).translate(SUPERSCRIPT)
        return power if abs(factor - 1) < 1e-6 else f"{factor:g}·{power}"
    return f"{value:.4g}"


@dataclass(frozen=True)
class Axis:
    """Values to positions between 0 and 1."""

    label: str
    low: float
    high: float
    log: bool = False
    names: Optional[dict[float, str]] = None  # ticks, where they are not to be chosen

    def at(self, value: float) -> float:
        if not self.log:
            return (value - self.low) / (self.high - self.low)
        value = max(value, self.low)
        return math.log(value / self.low) / math.log(self.high / self.low)

    def ticks(self) -> list[tuple[float, str]]:
        if self.names is not None:
            return list(self.names.items())
        found = log_ticks(self.low, self.high) if self.log else linear_ticks(self.low, self.high)
        return [(value, number(value)) for value in found]


def linear_ticks(low: float, high: float) -> list[float]:
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(f for f in (1, 2, 2.5, 5, 10) if (high - low) / (step * f) <= 6)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    decades = math.log10(high / low)
    factors = (1,) if decades > 2.5 else (1, 2, 5) if decades > 0.9 else (1, 1.2, 1.5, 2, 3, 5, 7)
    every = max(1, math.ceil(decades / 8))
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [f * 10.0**e for e in exponents if e % every == 0 for f in factors]
    return [value for value in found if low * 0.999 <= value <= high * 1.001]


def fit(label: str, values: Sequence[float], log: bool = False) -> Axis:
    """An axis on which all of the values find room. Linear ones begin at zero."""
    low, high = min(values), max(values)
    if log:
        return Axis(label, low / 1.08, high * 1.08 if high > low else low * 1.2, True)
    return Axis(label, min(0.0, low), high * 1.06 or 1.0)


def text(x: float, y: float, content: str, size: int = 12, anchor: str = "start",
         fill: str = INK, extra: str = "") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{fill}" {extra}>{escape(content)}</text>')


def line(x1: float, y1: float, x2: float, y2: float, stroke: str = INK, width: float = 1,
         extra: str = "") -> str:
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" '
            f'stroke-width="{width}" {extra}/>')


def document(title: str, subtitle: str, height: float, body: list[str]) -> str:
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" {FONT} role="img">',
        f"<title>{escape(title)}</title>",
        text(12, 24, title, 16, extra='font-weight="bold"'),
        text(12, 43, subtitle, 11),
        *body,
        "</svg>",
        "",
    ])


@dataclass
class Curve:
    """Points in order; its name chooses its colour."""

    name: str
    points: list[Sequence[float]]
    dashed: bool = False


@dataclass
class Frame:
    """The part of a picture that the axes enclose."""

    x: Axis
    y: Axis
    height: float
    body: list[str] = field(default_factory=list)

    @property
    def bottom(self) -> float:
        return TOP + self.height

    def across(self, value: float) -> float:
        return MARGIN_LEFT + self.x.at(value) * (WIDTH - MARGIN_LEFT - MARGIN_RIGHT)

    def down(self, value: float) -> float:
        return self.bottom - self.y.at(value) * self.height

    def draw_axes(self) -> None:
        right = WIDTH - MARGIN_RIGHT
        for value, name in self.y.ticks():
            y = self.down(value)
            self.body.append(line(MARGIN_LEFT, y, right, y, GRID))
            self.body.append(text(MARGIN_LEFT - 7, y + 4, name, 11, "end"))
        for value, name in self.x.ticks():
            x = self.across(value)
            self.body.append(line(x, TOP, x, self.bottom, GRID))
            self.body.append(text(x, self.bottom + 17, name, 11, "middle"))
        self.body.append(line(MARGIN_LEFT, self.bottom, right, self.bottom))
        middle = (MARGIN_LEFT + right) / 2
        self.body.append(text(middle, self.bottom + 38, self.x.label, 12, "middle"))
        y = TOP + self.height / 2
        self.body.append(text(18, y, self.y.label, 12, "middle",
                              extra=f'transform="rotate(-90 18 {y:.1f})"'))

    def draw_curve(self, curve: Curve) -> None:
        points = " ".join(f"{self.across(p[0]):.1f},{self.down(p[1]):.1f}" for p in curve.points)
        width = 3 if curve.name == "uslub" else 1.6
        dash = ' stroke-dasharray="5 4"' if curve.dashed else ""
        self.body.append(f'<polyline points="{points}" fill="none" stroke="{colour(curve.name)}" '
                         f'stroke-width="{width}" stroke-linejoin="round"{dash}/>')


def spread_out(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near the wanted ones, in their order, none closer to the next than the gap."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    found = [0.0] * len(wanted)
    edge = low
    for i in order:
        found[i] = edge = max(wanted[i], edge)
        edge += gap
    edge = high
    for i in reversed(order):
        found[i] = edge = min(found[i], edge)
        edge -= gap
    return found


def draw_names(frame: Frame, curves: list[Curve]) -> None:
    """Each name where its line ends, with a stroke of its colour."""
    ends = [frame.down(curve.points[-1][1]) for curve in curves]
    places = spread_out(ends, 15, TOP + 4, frame.bottom - 2)
    right = WIDTH - MARGIN_RIGHT
    for curve, end, place in zip(curves, ends, places):
        shade = colour(curve.name)
        frame.body.append(line(right + 2, end, right + 14, place, shade, 1))
        weight = 'font-weight="bold"' if curve.name == "uslub" else ""
        frame.body.append(text(right + 18, place + 4, curve.name, 12, fill=shade, extra=weight))


def in_order(curves: list[Curve]) -> list[Curve]:
    """uslub last, so that nothing lies over it."""
    return sorted(curves, key=lambda curve: curve.name == "uslub")


def lines(title: str, subtitle: str, x: Axis, y: Axis, curves: list[Curve]) -> str:
    frame = Frame(x, y, 340)
    frame.draw_axes()
    for curve in in_order(curves):
        frame.draw_curve(curve)
    draw_names(frame, [curve for curve in curves if curve.points])
    return document(title, subtitle, frame.bottom + 52, frame.body)


@dataclass(frozen=True)
class Bar:
    """A ratio and its spread."""

    peer: str
    value: float
    low: float
    high: float
    undecided: bool = False


ROW_GAP = 9
BAR_HEIGHT = 8
NAMES_WIDTH = 190


def ratio_bars(
    title: str, subtitle: str, rows: list[tuple[str, list[Bar]]], label: str
) -> str:
    """A group of bars for each row, from 1 to its ratio on a logarithmic axis; a whisker is the
    spread. What is undecided is drawn hollow."""
    bars = [bar for _, group in rows for bar in group]
    low = min([bar.low for bar in bars] + [1.0])
    high = max([bar.high for bar in bars] + [1.0])
    axis = Axis(label, max(low / 1.1, 0.01), min(high * 1.1, 100), True)
    left, right, body, y = NAMES_WIDTH, WIDTH - 24, [], TOP + 22

    def across(value: float) -> float:
        return left + min(max(axis.at(value), 0), 1) * (right - left)

    bottom = y + sum(len(group) * (BAR_HEIGHT + 1) + ROW_GAP for _, group in rows)
    draw_legend(body, list(dict.fromkeys(bar.peer for bar in bars)))
    for value, name in axis.ticks():
        body.append(line(across(value), y - 6, across(value), bottom, GRID))
        body.append(text(across(value), bottom + 15, name, 11, "middle"))
    for name, group in rows:
        middle = y + len(group) * (BAR_HEIGHT + 1) / 2 + 4
        body.append(text(left - 10, middle, name, 12, "end"))
        for bar in group:
            body += draw_bar(bar, across, y)
            y += BAR_HEIGHT + 1
        y += ROW_GAP
    body.append(line(across(1), TOP + 16, across(1), bottom, INK, 1.5))
    body.append(text((left + right) / 2, bottom + 34, label, 12, "middle"))
    return document(title, subtitle, bottom + 48, body)


def draw_legend(body: list[str], names: list[str]) -> None:
    x = NAMES_WIDTH
    for name in names:
        body.append(f'<rect x="{x}" y="{TOP - 8}" width="11" height="11" fill="{colour(name)}"/>')
        body.append(text(x + 16, TOP + 2, name, 12))
        x += 30 + 8 * len(name)


def draw_bar(bar: Bar, across, y: float) -> list[str]:
    one, end = across(1), across(bar.value)
    shade = colour(bar.peer)
    paint = f'fill="none" stroke="{shade}"' if bar.undecided else f'fill="{shade}"'
    middle = y + BAR_HEIGHT / 2
    return [
        f'<rect x="{min(one, end):.1f}" y="{y:.1f}" width="{max(abs(end - one), 0.8):.1f}" '
        f'height="{BAR_HEIGHT}" {paint}/>',
        line(across(bar.low), middle, across(bar.high), middle, INK, 1.2),
        line(across(bar.low), middle - 3, across(bar.low), middle + 3, INK, 1.2),
        line(across(bar.high), middle - 3, across(bar.high), middle + 3, INK, 1.2),
    ]


def save(folder: Path, name: str, svg: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.svg"
    file.write_text(svg, encoding="utf-8")
    return file
