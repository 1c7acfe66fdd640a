"""Charts as numbers for an SVG: positions in a plot of 1000 by 100 that is stretched to the page, labels in percent."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from dashboard import i18n

WIDTH, HEIGHT = 1000, 100
TICKS = 4
#: More intervals than this have a line but nothing to point at.
MOST_HITS = 1500
SPARK_WIDTH, SPARK_HEIGHT = 100, 24


@dataclass(frozen=True, slots=True)
class Tick:
    """A label at `percent` of its axis, from the left or the top."""

    percent: float
    label: str


@dataclass(frozen=True, slots=True)
class Series:
    """A line's name, its values per interval (None: no line there), and the SVG paths made of them.

    Args:
        dots: the points without neighbours, of which no line can be made.
        look: its classes, such as `s0` or, for the period compared with, `s0 before`; by its place if empty.
        absent: what is said of an interval without a value; nothing if empty.
    """

    name: str
    values: Sequence[float | None]
    path: str = ""
    dots: str = ""
    look: str = ""
    absent: str = ""


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
    """The part of the plot that belongs to an interval, what to say about it, and where it leads, if anywhere."""

    x: float
    width: float
    text: str
    link: str = ""


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
    links: Sequence[str] = (),
) -> Chart:
    """One line per series over the intervals that begin at `starts`; `links` lead to what is behind each interval."""
    top, y_ticks = scale([value for line in series for value in line.values if value is not None])
    drawn = _drawn(series, top)
    texts = ["\n".join([label(start), *_said(series, place, number)]) for place, start in enumerate(starts)]
    return Chart(drawn, [], _hits(texts, links), x_ticks(starts, label), y_ticks)


def stacked(
    starts: Sequence[datetime],
    counts: Series,
    errors: Series,
    label: Callable[[datetime], str],
    number: Callable[[float], str],
    links: Sequence[str] = (),
    before: Sequence[Series] = (),
) -> Chart:
    """A bar per interval as high as `counts`, a narrower one for `errors`, and a line for each of `before`."""
    beside = [value for line in before for value in line.values if value is not None]
    top, y_ticks = scale([value or 0 for value in counts.values] + beside)
    step = WIDTH / max(1, len(starts))
    width = step * (0.78 if len(starts) < 200 else 1)
    bars = []
    for place, (count, error) in enumerate(zip(counts.values, errors.values, strict=True)):
        for value, kind, wide in ((count, "count", width), (error, "errors", width / 2)):
            if value:
                x = round(place * step + (step - wide) / 2, 2)
                height = round(value / top * HEIGHT, 3)
                bars.append(Bar(x, round(HEIGHT - height, 3), round(wide, 2), height, kind))
    texts = [
        "\n".join(
            [
                label(start),
                f"{counts.name}: {number(counts.values[place] or 0)}",
                f"{errors.name}: {number(errors.values[place] or 0)}",
                *_said(before, place, number),
            ]
        )
        for place, start in enumerate(starts)
    ]
    return Chart(_drawn(before, top), bars, _hits(texts, links), x_ticks(starts, label), y_ticks)


def sparkline(values: Sequence[float], top: float) -> str:
    """The path of a small line in a plot of 100 by 24 whose upper edge is `top`."""
    return _path(_points(values, top or 1, SPARK_WIDTH, SPARK_HEIGHT))


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


def _drawn(series: Sequence[Series], top: float) -> list[Series]:
    drawn = []
    for place, line in enumerate(series):
        points = _points(line.values, top)
        drawn.append(replace(line, path=_path(points), dots=_dots(points), look=line.look or f"s{place}"))
    return drawn


def _said(series: Sequence[Series], place: int, number: Callable[[float], str]) -> list[str]:
    """What the lines tell of an interval."""
    return [
        f"{line.name}: {line.absent if value is None else number(value)}"
        for line in series
        if (value := line.values[place]) is not None or line.absent
    ]


def _points(
    values: Sequence[float | None], top: float, width: float = WIDTH, height: float = HEIGHT
) -> list[str | None]:
    step = width / max(1, len(values))
    return [
        None if value is None else f"{round((place + 0.5) * step, 2)} {round(height - value / top * height, 3)}"
        for place, value in enumerate(values)
    ]


def _path(points: Sequence[str | None]) -> str:
    return "".join(
        f"{'M' if before is None else 'L'}{point}" for before, point in pairwise([None, *points]) if point is not None
    )


def _dots(points: Sequence[str | None]) -> str:
    # A round line cap makes a dot of a line without length.
    return "".join(
        f"M{point}h0"
        for before, point, after in zip([None, *points], points, [*points[1:], None], strict=False)
        if point is not None and before is after is None
    )


def _hits(texts: Sequence[str], links: Sequence[str]) -> list[Hit]:
    if len(texts) > MOST_HITS:
        return []
    step = WIDTH / max(1, len(texts))
    targets = links or [""] * len(texts)
    return [
        Hit(round(place * step, 2), round(step, 2), text, link)
        for place, (text, link) in enumerate(zip(texts, targets, strict=True))
    ]


def grouped(items: Sequence[dict[str, Any]], names: Sequence[str], most: int) -> list[tuple[Any, ...]]:
    """The groups with the most requests, the largest first."""
    sums: dict[tuple[Any, ...], int] = {}
    for item in items:
        key = tuple(item[name] for name in names)
        sums[key] = sums.get(key, 0) + item["count"]
    return sorted(sums, key=lambda key: (-sums[key], key))[:most]
