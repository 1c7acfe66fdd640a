"""Quick time ranges, as instants in the reader's time zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext

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
_ROLLING = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}


def quick_range(name: str, now: datetime) -> tuple[datetime, datetime | None]:
    """First instant and, for a day that is over, the first instant after the range.

    Args:
        now: the present in the reader's zone.

    Raises:
        KeyError: no such range.
    """
    if name in _ROLLING:
        # Through UTC: an hour that the clocks skip or repeat is an hour, too.
        zone = now.tzinfo
        return (now.astimezone(ZoneInfo("UTC")) - _ROLLING[name]).astimezone(zone), None
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if name == "today":
        return midnight, None
    if name == "yesterday":
        return midnight - timedelta(days=1), midnight
    raise KeyError(name)


def parameter(instant: datetime) -> str:
    """The instant as a query parameter: to the second, with its offset, so that it means the same to everybody."""
    return instant.isoformat(timespec="seconds")


def with_offset(text: str, zone: ZoneInfo) -> str:
    """What was typed into a date field, with the zone's offset; text that is no time stays as it is."""
    try:
        typed = datetime.fromisoformat(text)
    except ValueError:
        return text
    return text if typed.tzinfo else parameter(typed.replace(tzinfo=zone))
