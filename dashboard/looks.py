"""How a list is shown: which columns in which order, how densely, and how its times are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.columns import Report

if TYPE_CHECKING:
    from dashboard.filters import Problems

DENSITIES = ("comfortable", "compact")
TIMES = ("absolute", "relative")
#: The parameters of a URL that say it.
PARAMETERS = ("columns", "density", "times")


def N_(text: str) -> str:
    """Mark `text` for translation."""
    return text


COLUMNS = N_("columns of this report, each once, with commas between them")
DENSITY = N_("comfortable or compact")
TIME_STYLE = N_("absolute or relative")


@dataclass(frozen=True, slots=True)
class Look:
    """Names of the columns in their order, a density and a style of times; empty for what was not chosen."""

    columns: tuple[str, ...] = ()
    density: str = ""
    times: str = ""

    def pairs(self) -> list[tuple[str, str]]:
        """The URL parameters that give this look again."""
        values = (",".join(self.columns), self.density, self.times)
        return [(name, value) for name, value in zip(PARAMETERS, values, strict=True) if value]


def read(given: Mapping[str, str | None], report: Report, problems: Problems) -> Look:
    """The look that the parameters ask for; what cannot be understood is added to `problems` and left out."""
    text = given["columns"]
    names = tuple(text.split(",")) if text is not None else ()
    unknown = [name for name in names if name not in report.by_name]
    if unknown or len(set(names)) < len(names):
        problems.add("columns", ",".join(unknown) or text or "", COLUMNS, tuple(report.by_name))
        names = ()
    styles = []
    for name, known, expected in (("density", DENSITIES, DENSITY), ("times", TIMES, TIME_STYLE)):
        value = given[name]
        if value is not None and value not in known:
            problems.add(name, value, expected)
        styles.append(value if value in known else "")
    return Look(names, *styles)
