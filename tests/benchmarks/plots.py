"""Draws the figures of `docs/performance.md`: the last line of each benchmark, kept in `docs/performance`, as an SVG.

`make plots`, after for example `make bench-ingest | tail -n 1 > docs/performance/ingest.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.benchmarks.ingest import NAMES

FOLDER = Path(__file__).parents[2] / "docs" / "performance"
#: Ours, and whom it is compared with; told apart without colours as well.
OURS = {"color": "#0b6e72"}
PEER = {"color": "#c9b79a", "hatch": "///", "edgecolor": "#8a7654"}
#: So that the same figures give the same file.
STYLE = {"svg.hashsalt": "krill-logger", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}


def _figure(rows: int, title: str, unit: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.5, 1.1 + 0.34 * rows), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left")
    axes.set_xlabel(unit)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color="#dddddd")
    axes.invert_yaxis()
    return figure, axes


def _bars(title: str, unit: str, values: Mapping[str, float], ours: Sequence[str]) -> Figure:
    """A bar per name, written out behind it."""
    figure, axes = _figure(len(values), title, unit)
    for at, (name, value) in enumerate(values.items()):
        axes.barh(at, value, 0.62, **(OURS if name in ours else PEER))
        axes.annotate(f"{value:,.0f}", (value, at), xytext=(4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(values)), list(values))
    axes.margins(x=0.12)
    return figure


def ingest(found: dict[str, Any]) -> Figure:
    rates = {NAMES[name]: figures[0] for name, figures in found["rows"].items()}
    return _bars("From a filled topic to rows", "events/s", rates, [NAMES["ours"]])


def latency(found: dict[str, Any]) -> Figure:
    rows = {f"{NAMES[name]}, {rate:,} events/s": p99 for name, rate, _p50, p99 in found["rows"]}
    ours = [name for name in rows if name.startswith(NAMES["ours"])]
    return _bars("From publishing to an answer that holds the event, p99", "ms", rows, ours)


def query(found: dict[str, Any]) -> Figure:
    views = found["views"]
    figure, axes = _figure(len(views), f"{found['rows']:,} requests: a view of the dashboard, p95", "ms")
    for at, view in enumerate(views):
        axes.barh(at - 0.2, view["p95"], 0.38, label="Krill Logger" if not at else None, **OURS)
        if "peer_p95" in view:
            axes.barh(at + 0.2, view["peer_p95"], 0.38, label=None if at else "drf-tracking, PostgreSQL", **PEER)
    axes.set_xscale("log")
    axes.axvline(100, color="#444444", linestyle=":", linewidth=1)
    axes.set_yticks(range(len(views)), [view["name"] for view in views])
    axes.margins(y=0.01)
    axes.legend(frameon=False, loc="lower right")
    return figure


def producer(found: dict[str, Any]) -> Figure:
    values = {
        f"{name}, broker {state}": p50 for state, added in found["added_us"].items() for name, (p50, _) in added.items()
    }
    ours = [name for name in values if not name.startswith("drf")]
    return _bars("Added to a request of REST framework, p50", "µs", values, ours)


def export(found: dict[str, Any]) -> Figure:
    names = {"dashboard": "Krill Logger", "Django": "Django, drf-tracking's rows"}
    rates = {names[name]: file["rows_per_second"] for name, file in found["files"].items()}
    return _bars("CSV of all rows over HTTP", "rows/s", rates, ["Krill Logger"])


def growth(found: dict[str, dict[str, Any]]) -> Figure:
    """Ingest by partitions and workers, and the slowest and the median view by the number of rows."""
    figure = Figure(figsize=(7.5, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    workers = [1, 2, 4]
    left.plot(workers, [found[f"ingest-{count}"]["rows"]["ours"][0] for count in workers], "o-", **OURS)
    left.set(title="Events/s", xlabel="partitions and workers, on 2 cores", xticks=workers)
    left.set_ylim(0, 1.1 * left.dataLim.ymax)
    names = (("1 M", "query-1m"), ("10 M", "query"), ("100 M", "query-100m"))
    sizes = {label: found[name] for label, name in names if name in found}
    for share, mark, label in ((0.5, "o-", "half of the views"), (1, "s--", "slowest view")):
        times = [sorted(view["p95"] for view in one["views"]) for one in sizes.values()]
        points = [each[min(int(len(each) * share), len(each) - 1)] for each in times]
        right.plot(list(sizes), points, mark, label=label, **OURS)
    right.set(title="p95, ms", xlabel="requests", yscale="log")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#dddddd")
    return figure


PLOTS = {"ingest": ingest, "latency": latency, "query": query, "producer": producer, "export": export}


def main() -> int:
    """Draw what there are figures for."""
    mpl.rcParams.update(STYLE)
    found = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
    drawn = {name: draw(found[name]) for name, draw in PLOTS.items() if name in found}
    if {"ingest-1", "ingest-2", "ingest-4", "query-1m", "query"} <= found.keys():
        drawn["growth"] = growth(found)
    for name, figure in drawn.items():
        figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None, "Creator": None})
    print(f"{len(drawn)} plots in {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
