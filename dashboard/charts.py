"""Charts as numbers for an SVG: positions in a plot of 1000 by 100 that is stretched to the page, labels in percent."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboard import i18n

WIDTH, HEIGHT = 1000, 100
TICKS = 4
#: More intervals than this have a line but nothing to point at.
MOST_HITS = 1500


@dataclass(frozen=True, slots=True)
class Tick:
    """A label at `percent` of its axis, from the left or the top."""

    percent: float
    label: str


@dataclass(frozen=True, slots=True)
class Series:
    """A line's name, its values per interval (None: no line there), and the SVG path made of them."""

    name: str
    values: Sequence[float | None]
    path: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle of the plot; `kind` names its colour."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True, slots=True)
class Hit:
    """The part of the plot that belongs to an interval, and what to say about it."""

    x: float
    width: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything a template needs to draw a chart."""

    series: list[Series]
    bars: list[Bar]
    hits: list[Hit]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def lines(
    starts: Sequence[datetime],
    series: Sequence[Series],
    label: Callable[[datetime], str],
    number: Callable[[float], str],
) -> Chart:
    """One line per series over the intervals that begin at `starts`."""
    top, y_ticks = scale([value for line in series for value in line.values if value is not None])
    drawn = [Series(line.name, line.values, _path(line.values, top)) for line in series]
    texts = [
        "\n".join(
            [label(start)]
            + [f"{line.name}: {number(value)}" for line in series if (value := line.values[place]) is not None]
        )
        for place, start in enumerate(starts)
    ]
    return Chart(drawn, [], _hits(texts), x_ticks(starts, label), y_ticks)


def stacked(
    starts: Sequence[datetime],
    counts: Series,
    errors: Series,
    label: Callable[[datetime], str],
    number: Callable[[float], str],
) -> Chart:
    """A bar per interval as high as `counts`, of which the lower part is `errors`."""
    top, y_ticks = scale([value or 0 for value in counts.values])
    step = WIDTH / max(1, len(starts))
    width = step * (0.78 if len(starts) < 200 else 1)
    bars = []
    for place, (count, error) in enumerate(zip(counts.values, errors.values, strict=True)):
        x = round(place * step + (step - width) / 2, 2)
        for value, kind in ((count, "count"), (error, "errors")):
            if value:
                height = round(value / top * HEIGHT, 3)
                bars.append(Bar(x, round(HEIGHT - height, 3), round(width, 2), height, kind))
    texts = [
        f"{label(start)}\n{counts.name}: {number(count or 0)}\n{errors.name}: {number(error or 0)}"
        for start, count, error in zip(starts, counts.values, errors.values, strict=True)
    ]
    return Chart([], bars, _hits(texts), x_ticks(starts, label), y_ticks)


def x_ticks(starts: Sequence[datetime], label: Callable[[datetime], str]) -> list[Tick]:
    """Labels of some intervals, evenly spread and not at the edges."""
    shown = min(TICKS, len(starts))
    places = [int((tick + 0.5) / shown * len(starts)) for tick in range(shown)]
    return [Tick(round((place + 0.5) / len(starts) * 100, 2), label(starts[place])) for place in places]


def scale(values: Sequence[float]) -> tuple[float, list[Tick]]:
    """The value at the top of the plot, and labels at round values."""
    highest = max(values, default=0) or 1
    rough = highest / TICKS
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= rough)
    if highest >= TICKS and step < 1:
        step = 1.0
    count = math.ceil(highest / step)
    top = step * count
    return top, [Tick(round(100 - 100 * tick / count, 2), i18n.shortest(tick * step)) for tick in range(count + 1)]


def _path(values: Sequence[float | None], top: float) -> str:
    step = WIDTH / max(1, len(values))
    pieces: list[str] = []
    pen_down = False
    for place, value in enumerate(values):
        if value is None:
            pen_down = False
            continue
        x, y = round((place + 0.5) * step, 2), round(HEIGHT - value / top * HEIGHT, 3)
        # A round line cap makes a dot of a point without neighbours.
        pieces.append(f"L{x} {y}" if pen_down else f"M{x} {y}h0")
        pen_down = True
    return "".join(pieces)


def _hits(texts: Sequence[str]) -> list[Hit]:
    if len(texts) > MOST_HITS:
        return []
    step = WIDTH / max(1, len(texts))
    return [Hit(round(place * step, 2), round(step, 2), text) for place, text in enumerate(texts)]


def grouped(items: Sequence[dict[str, Any]], names: Sequence[str], most: int) -> list[tuple[Any, ...]]:
    """The groups with the most requests, the largest first."""
    sums: dict[tuple[Any, ...], int] = {}
    for item in items:
        key = tuple(item[name] for name in names)
        sums[key] = sums.get(key, 0) + item["count"]
    return sorted(sums, key=lambda key: (-sums[key], key))[:most]
