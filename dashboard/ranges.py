"""Quick time ranges of the pages."""

from __future__ import annotations

from datetime import datetime

from flask_babel import lazy_gettext

from dashboard.dates import Span

#: Name in the parameter `range`: what it is called.
QUICK_RANGES = {
    "15m": lazy_gettext("Last 15 minutes"),
    "1h": lazy_gettext("Last hour"),
    "24h": lazy_gettext("Last 24 hours"),
    "today": lazy_gettext("Today"),
    "yesterday": lazy_gettext("Yesterday"),
    "7d": lazy_gettext("Last 7 days"),
    "30d": lazy_gettext("Last 30 days"),
}
_DAYS: dict[str, Span] = {"today": ("now/d", None), "yesterday": ("now-1d/d", "now/d")}


def quick_range(name: str) -> Span:
    """The parameters `from` and `to` of a quick range, which moves with the clock.

    Raises:
        KeyError: no such range.
    """
    if name not in QUICK_RANGES:
        raise KeyError(name)
    return _DAYS.get(name, (f"now-{name}", None))


def parameter(instant: datetime) -> str:
    """The instant as a query parameter: to the second, with its offset, so that it means the same to everybody."""
    return instant.isoformat(timespec="seconds")
