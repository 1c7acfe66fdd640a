"""The table of a ranking: of endpoints or of users, with sparklines and links."""

from __future__ import annotations

from dataclasses import dataclass

from flask_babel import lazy_gettext

from dashboard import charts
from dashboard.address import Address
from dashboard.columns import Column
from dashboard.drawings import of_group
from dashboard.integrations import path_to
from dashboard.rankings import Ranking, RankingQuery
from dashboard.rows import Item
from dashboard.trends import reliable

#: Headings of the measures, in order; those of changes are shown with a comparison.
MEASURES = {
    "count": lazy_gettext("Requests"),
    "count_change": lazy_gettext("Change in requests"),
    "error_rate": lazy_gettext("Error rate"),
    "error_rate_change": lazy_gettext("Change in errors"),
    "p50": "p50 (ms)",
    "p95": "p95 (ms)",
    "p95_change": lazy_gettext("Change in p95"),
    "p99": "p99 (ms)",
    "last_at": lazy_gettext("Last request"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A group: its numbers, the small lines of its requests and errors, and where it leads."""

    item: Item
    counts: str
    errors: str
    requests: Address
    page: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A page of a ranking; `pages` there are."""

    query: RankingQuery
    columns: tuple[Column, ...]
    measures: dict[str, object]
    rows: list[Row]
    total: int
    pages: int


def ranked(query: RankingQuery, found: Ranking, requests: Address) -> Table:
    """The table of what was found.

    Args:
        requests: the report of all requests of the period.
    """
    compared = bool(query.trend.compare)
    return Table(
        query,
        query.columns,
        {name: label for name, label in MEASURES.items() if compared or not name.endswith("_change")},
        [_row(query, item, requests) for item in found.items],
        found.total,
        -(-found.total // query.per_page),
    )


def _row(query: RankingQuery, item: Item, requests: Address) -> Row:
    counts, errors = zip(*item["spark"], strict=True)
    top = max(counts)
    return Row(
        reliable(item),
        charts.sparkline(counts, top),
        charts.sparkline(errors, top) if any(errors) else "",
        of_group(requests, item, query.columns),
        path_to(item["user"]) if "user" in item else None,
    )
