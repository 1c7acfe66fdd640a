"""Times in parameters: ISO 8601, in a zone unless they carry an offset, or relative to now."""

from __future__ import annotations

import calendar
import datetime as dt
import re
import uuid
from zoneinfo import ZoneInfo

UTC = dt.UTC

#: What a DateTime64(3) column can hold.
EARLIEST = dt.datetime(1900, 1, 1, tzinfo=UTC)
LATEST = dt.datetime(2299, 12, 31, tzinfo=UTC)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?P<clock>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?)"
    # A `+` that was not percent-encoded arrives as a space.
    r"(?P<offset>[Zz]|[-+ ][0-9]{2}(?::?[0-9]{2})?)?)?"
)
#: `now`, perhaps less some units, perhaps rounded down to the beginning of one.
_RELATIVE = re.compile(r"now(?:-(?P<count>[0-9]{1,5})(?P<unit>[smhdwMy]))?(?:/(?P<start>[smhdwMy]))?")
_LENGTHS = {"s": dt.timedelta(seconds=1), "m": dt.timedelta(minutes=1), "h": dt.timedelta(hours=1)}


def instant(text: str, zone: ZoneInfo, *, latest: bool = False, now: dt.datetime | None = None) -> dt.datetime:
    """The instant that `text` names, in UTC: what `parse` reads, or one that moves with the clock.

    Args:
        text: as for `parse`; or `now-15m`, `now/d` (the beginning of today), `now-1w/w` (that of last week, a Monday),
            with s, m, h, d, w, M (month) and y.
        zone: as for `parse`, and whose days and weeks count.
        now: the present, unless it is that of the clock.

    Raises:
        ValueError: not such a time, or not between the years 1900 and 2299.
    """
    match = _RELATIVE.fullmatch(text)
    if not match:
        return parse(text, zone, latest=latest)
    moment = (now or dt.datetime.now(UTC)).astimezone(zone)
    if match["unit"]:
        moment = before(moment, int(match["count"]), match["unit"])
    return _bounded((start_of(moment, match["start"]) if match["start"] else moment).astimezone(UTC))


def of_uuid(text: str) -> dt.datetime | None:
    """The time that a UUID of version 7 begins with (RFC 9562, section 5.7); None for another, and for no such time.

    Raises:
        ValueError: not a UUID.
    """
    value = uuid.UUID(text)
    try:
        return _bounded(_EPOCH + dt.timedelta(milliseconds=value.int >> 80)) if value.version == 7 else None
    except (ValueError, OverflowError):
        return None


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
        found = aware.astimezone(UTC) + dt.timedelta(milliseconds=_milliseconds(fraction))
    except OverflowError as error:
        raise ValueError("out of range") from error
    return _bounded(found)


def is_relative(text: str) -> bool:
    """Whether `text` names an instant that moves with the clock."""
    return bool(_RELATIVE.fullmatch(text))


def start_of(moment: dt.datetime, unit: str) -> dt.datetime:
    """The beginning of the second, minute, hour, day, week (a Monday), month or year that a local time lies in."""
    if unit in _LENGTHS:
        past = {"s": dt.timedelta(), "m": dt.timedelta(seconds=moment.second)}
        past["h"] = past["m"] + dt.timedelta(minutes=moment.minute)
        start = moment.astimezone(UTC) - past[unit] - dt.timedelta(microseconds=moment.microsecond)
        return start.astimezone(moment.tzinfo)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    match unit:
        case "w":
            return day - dt.timedelta(days=day.weekday())
        case "M":
            return day.replace(day=1)
        case "y":
            return day.replace(month=1, day=1)
        case _:
            return day


def before(moment: dt.datetime, count: int, unit: str) -> dt.datetime:
    """A local time, `count` units earlier: seconds to hours as they pass, longer units by the calendar.

    Raises:
        ValueError: before the year 1.
    """
    try:
        if unit in _LENGTHS:
            return (moment.astimezone(UTC) - count * _LENGTHS[unit]).astimezone(moment.tzinfo)
        if unit in "dw":
            return moment - dt.timedelta(days=count * (7 if unit == "w" else 1))
    except OverflowError as error:
        raise ValueError("out of range") from error
    months = moment.year * 12 + moment.month - 1 - count * (12 if unit == "y" else 1)
    first = moment.replace(year=months // 12, month=months % 12 + 1, day=1)
    # The 31st of a month of 30 days is its last day.
    return first.replace(day=min(moment.day, calendar.monthrange(first.year, first.month)[1]))


def _bounded(moment: dt.datetime) -> dt.datetime:
    if not EARLIEST <= moment < LATEST:
        raise ValueError("out of range")
    return moment


def _milliseconds(fraction: str) -> int:
    """Digits behind the decimal point of a second as milliseconds, rounded up."""
    return -(-int(fraction.ljust(9, "0")) // 1_000_000) if fraction else 0
