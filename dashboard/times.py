"""Times as people type them: ISO 8601 dates and datetimes, in a zone unless they carry an offset."""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo

UTC = dt.UTC

#: What a DateTime64(3) column can hold.
EARLIEST = dt.datetime(1900, 1, 1, tzinfo=UTC)
LATEST = dt.datetime(2299, 12, 31, tzinfo=UTC)

_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?P<clock>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?)"
    # A `+` that was not percent-encoded arrives as a space.
    r"(?P<offset>[Zz]|[-+ ][0-9]{2}(?::?[0-9]{2})?)?)?"
)


def parse(text: str, zone: ZoneInfo, *, latest: bool = False) -> dt.datetime:
    """The instant that `text` names, in UTC, rounded up to the millisecond that the tables keep.

    Args:
        text: `2026-11-23`, `2026-11-23T10:00`, `2026-11-23T10:00:00.5+01:00`, …
        zone: where a time without an offset is meant. A local time that the clocks skip is taken as if
            they had not been put forward yet.
        latest: of a local time that happens twice, take the second one.

    Raises:
        ValueError: not such a time, or not between the years 1900 and 2299.
    """
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError("not an ISO 8601 time")
    clock = (match["clock"] or "00:00").replace(",", ".")
    seconds, _, fraction = clock.partition(".")
    moment = dt.datetime.fromisoformat(f"{match['date']}T{seconds}")
    offset = (match["offset"] or "").upper().replace(" ", "+")
    aware = (
        dt.datetime.fromisoformat(f"{moment.isoformat()}{offset}")
        if offset
        else moment.replace(tzinfo=zone, fold=int(latest))
    )
    try:
        instant = aware.astimezone(UTC) + dt.timedelta(milliseconds=_milliseconds(fraction))
    except OverflowError as error:
        raise ValueError("out of range") from error
    if not EARLIEST <= instant < LATEST:
        raise ValueError("out of range")
    return instant


def _milliseconds(fraction: str) -> int:
    """Digits behind the decimal point of a second as milliseconds, rounded up."""
    return -(-int(fraction.ljust(9, "0")) // 1_000_000) if fraction else 0
