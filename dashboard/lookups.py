"""What the projections by object and by path answer: when an object's, or a path's, rows were, and how many."""

from __future__ import annotations

from dashboard.columns import ADMIN_CHANGES, API_REQUESTS
from dashboard.conditions import beginning
from dashboard.filters import Query

# What each projection is sorted by first, and its other columns.
_PROJECTIONS = {
    API_REQUESTS.name: {"object_id": {"object_type", "method"}, "path": set[str]()},
    ADMIN_CHANGES.name: {"object_id": {"object_type", "action"}},
}


def known(query: Query) -> bool:
    """Whether a projection has the query's rows side by side."""
    if query.q or query.without_q:
        return False
    names = {condition.column.name for condition in query.conditions}
    sought = {
        condition.column.name
        for condition in query.conditions
        if not condition.negated and all(beginning(value) for value in condition.values)
    }
    return any(
        first in sought and names <= {first, *others} for first, others in _PROJECTIONS[query.report.name].items()
    )
