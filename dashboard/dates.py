"""Dates as people say them, in Spanish and English: made into the parameters `from` and `to`, and written back."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from zoneinfo import ZoneInfo

from dashboard import times

#: Values of the parameters `from` and `to`; None where there is no limit.
Span = tuple[str | None, str | None]

#: A unit of `times` by how it is called: in English and Spanish, one and several, and short forms.
_UNITS = {
    "s": ("second", "seconds", "sec", "secs", "s", "segundo", "segundos", "seg"),
    "m": ("minute", "minutes", "min", "mins", "m", "minuto", "minutos"),
    "h": ("hour", "hours", "hr", "h", "hora", "horas"),
    "d": ("day", "days", "d", "dia", "dias"),
    "w": ("week", "weeks", "w", "semana", "semanas", "sem"),
    "M": ("month", "months", "mes", "meses"),
    "y": ("year", "years", "y", "ano", "anos"),
}
_UNIT = {name: unit for unit, names in _UNITS.items() for name in names}
_NAMES = {
    "en": {"s": "s", "m": "min", "h": "h", "d": "days", "w": "weeks", "M": "months", "y": "years"},
    "es": {"s": "s", "m": "min", "h": "h", "d": "días", "w": "semanas", "M": "meses", "y": "años"},
}
#: A span that moves with the clock, as it is written in each language; other ways to say it follow.
_WORDS: dict[tuple[str, str | None], tuple[str, str, *tuple[str, ...]]] = {
    ("now/d", None): ("today", "hoy"),
    ("now-1d/d", "now/d"): ("yesterday", "ayer"),
    ("now-2d/d", "now-1d/d"): ("day before yesterday", "anteayer", "antier", "antes de ayer"),
    ("now/w", None): ("this week", "esta semana"),
    ("now-1w/w", "now/w"): ("last week", "semana pasada", "ultima semana", "previous week", "semana anterior"),
    ("now/M", None): ("this month", "este mes"),
    ("now-1M/M", "now/M"): ("last month", "mes pasado", "ultimo mes", "previous month", "mes anterior"),
    ("now/y", None): ("this year", "este año"),
    ("now-1y/y", "now/y"): ("last year", "año pasado", "ultimo ano", "previous year", "ano anterior"),
}
_WEEKDAYS = (
    *(("monday", "mon", "lunes", "lun"), ("tuesday", "tue", "martes", "mar")),
    ("wednesday", "wed", "miercoles", "mie"),
    *(("thursday", "thu", "jueves", "jue"), ("friday", "fri", "viernes", "vie"), ("saturday", "sat", "sabado", "sab")),
    ("sunday", "sun", "domingo", "dom"),
)
_WEEKDAY = {name: number for number, names in enumerate(_WEEKDAYS) for name in names}
#: The last unit, where that is no calendar week, month or year.
_ONE = {"m": ("last minute", "último minuto"), "h": ("last hour", "última hora"), "d": ("last day", "último día")}
_ARTICLES = re.compile(r"\b(?:the|on|at|el|la|los|las|a)\b")
_AGO = re.compile(r"(?:(?:last|past|ultim[oa]s?|hace) )?(?P<count>[0-9]{1,5}) ?(?P<unit>[a-z]+)(?: ago)?")
_LAST_ONE = re.compile(r"(?:last|past|ultim[oa]) (?P<unit>hour|hora|minute|minuto|day|dia)")
_CLOCK = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?"
_CLOCK_ALONE = re.compile(_CLOCK)
_DAY = re.compile(r"(?P<day>[0-9]{1,2})[/.](?P<month>[0-9]{1,2})(?:[/.](?P<year>[0-9]{4}))?")
_MONTH = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})")
_OFFSET = re.compile(r"(?:z|[-+ ][0-9]{2}(?::?[0-9]{2})?)$")
_AT_A_TIME = re.compile(rf"(?P<date>.*?)[t ] ?{_CLOCK}", re.DOTALL)


def span(text: str, now: dt.datetime) -> Span:
    """From when until when a day, a week, a moment or a range of them lasts.

    Days, weeks, months and "last 15 min" stay relative and move with the clock; what else is said becomes a time with
    its offset. A date without a year and a weekday are the last such day, today included. Both ends of a range
    `a..b` belong to it; one of them may be missing.

    Args:
        now: the present in the reader's zone.

    Raises:
        ValueError: none of this.
    """
    if text.startswith((">", "<")):
        sign = ">=" if text.startswith(">=") else "<=" if text.startswith("<=") else text[0]
        first, after = _one(text.removeprefix(sign), now)
        limit = _end(first, after) if sign in (">", "<=") else first
        return (limit, None) if sign[0] == ">" else (None, limit)
    if ".." in text:
        start, end = (part.strip() for part in text.split("..", 1))
        if not start and not end:
            raise ValueError("a range without limits")
        since = _one(start, now)[0] if start else None
        until = _one(end, now)[1] if end else None
        if since is until is None:
            raise ValueError("a range without limits")
        return since, until
    return _one(text, now)


def moment(text: str, zone: ZoneInfo, now: dt.datetime | None = None, *, latest: bool = False) -> str:
    """What was typed into a date field as a parameter's value: the beginning of what it says.

    Text that says no time stays as it is.

    Args:
        latest: of a local time that happens twice, take the second one.
    """
    try:
        since = _one(text, now or dt.datetime.now(zone), latest=latest)[0]
    except ValueError:
        return text
    return since or text


def words(since: str | None, until: str | None, language: str, zone: ZoneInfo) -> str | None:
    """The span as people say it, so that `span` understands it; None if there are no words for it."""
    place = 0 if language == "en" else 1
    if since is None:
        return None
    if (since, until) in _WORDS:
        return _WORDS[since, until][place]
    if until is None and (match := re.fullmatch(r"now-([0-9]+)([smhdwMy])", since)):
        count, unit = match.groups()
        if int(count) == 1:
            one = _ONE.get(unit)
            return one and one[place]
        last = {"en": "last", "es": "últimas" if unit in "hw" else "últimos"}[language]
        return f"{last} {count} {_NAMES[language][unit]}"
    if until is None or times.is_relative(since) or times.is_relative(until):
        return None
    try:
        first, after = (times.instant(text, zone, latest=text == until).astimezone(zone) for text in (since, until))
    except ValueError:
        return None
    if times.start_of(first, "d") != first or times.start_of(after, "d") != after or first >= after:
        return None
    last_day = after.date() - dt.timedelta(days=1)
    return first.date().isoformat() if first.date() == last_day else f"{first.date()}..{last_day}"


def word(text: str, language: str) -> str | None:
    """A relative value of `from` or `to` as people say it, as `moment` understands it; None without a word."""
    place = 0 if language == "en" else 1
    spoken = (names[place] for (since, _), names in _WORDS.items() if since == text)
    return next(spoken, None) or words(text, None, language, ZoneInfo("UTC"))


def suggestions(language: str) -> list[str]:
    """Spans that are often asked for."""
    place = 0 if language == "en" else 1
    last = [words(f"now-{length}", None, language, ZoneInfo("UTC")) for length in ("15m", "1h", "24h", "7d", "30d")]
    return [text for text in last if text] + [names[place] for names in _WORDS.values()]


def plain(text: str) -> str:
    """`text` in small letters without accents and with single spaces."""
    bare = "".join(char for char in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(char))
    return " ".join(bare.split())


_SPOKEN = {plain(name): since for since, names in _WORDS.items() for name in names}


def _one(text: str, now: dt.datetime, *, latest: bool = False) -> tuple[str, str | None]:
    """The beginning of what is said, and the beginning of what follows; None if it is not over."""
    zone = now.tzinfo
    assert isinstance(zone, ZoneInfo)
    try:
        since, until = _read(text, now, zone, latest=latest)
    except OverflowError as error:
        raise ValueError("out of range") from error
    for limit in (since, until):
        if limit:
            # No year that the tables cannot hold.
            times.instant(limit, zone, now=now)
    return since, until


def _read(text: str, now: dt.datetime, zone: ZoneInfo, *, latest: bool) -> tuple[str, str | None]:
    said = " ".join(_ARTICLES.sub(" ", plain(text)).split())
    if said in _SPOKEN:
        return _SPOKEN[said]
    if said in ("now", "ahora"):
        return "now", None
    if match := _AGO.fullmatch(said):
        if match["unit"] in _UNIT:
            return f"now-{int(match['count'])}{_UNIT[match['unit']]}", None
        raise ValueError("no unit of time")
    if match := _LAST_ONE.fullmatch(said):
        return f"now-1{_UNIT[match['unit']]}", None
    if times.is_relative(text.strip()):
        return text.strip(), None
    if match := _MONTH.fullmatch(said):
        start = dt.datetime(int(match["year"]), int(match["month"]), 1, tzinfo=zone)
        following = (start + dt.timedelta(days=31)).replace(day=1)
        return _parameter(start), _parameter(following)
    if day := _date(said, now):
        return _parameter(day), _parameter(day + dt.timedelta(days=1))
    clock = _CLOCK_ALONE.fullmatch(said) or _AT_A_TIME.fullmatch(said)
    base = now if clock and clock.re is _CLOCK_ALONE else _date(clock["date"], now) if clock else None
    if clock and base:
        start = base.replace(
            hour=int(clock["hour"]),
            minute=int(clock["minute"]),
            second=int(clock["second"] or 0),
            microsecond=0,
            fold=int(latest),
        )
        return _parameter(start), _parameter(_later(start, 1 if clock["second"] else 60))
    instant = times.parse(text.strip(), zone, latest=latest).astimezone(zone)
    # As it was typed, if that already means the same to everybody.
    return text.strip() if _OFFSET.search(said) else _parameter(instant), _parameter(_later(instant, 1))


def _date(said: str, now: dt.datetime) -> dt.datetime | None:
    """The beginning of the day that is named; None if none is."""
    today = times.start_of(now, "d")
    name = said.removesuffix(" pasado").removeprefix("last ")
    if name in _WEEKDAY:
        back = (today.weekday() - _WEEKDAY[name]) % 7
        return today - dt.timedelta(days=back or (7 if name != said else 0))
    if said in ("today", "hoy", "yesterday", "ayer", "anteayer", "antier"):
        return today - dt.timedelta(days={"today": 0, "hoy": 0, "yesterday": 1, "ayer": 1}.get(said, 2))
    if match := _DAY.fullmatch(said):
        day = today.replace(year=int(match["year"] or now.year), month=int(match["month"]), day=int(match["day"]))
        return day if match["year"] or day <= today else day.replace(year=day.year - 1)
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", said):
        return dt.datetime.fromisoformat(said).replace(tzinfo=now.tzinfo)
    return None


def _end(first: str, after: str | None) -> str:
    return first if after is None else after


def _later(moment: dt.datetime, seconds: int) -> dt.datetime:
    return (moment.astimezone(dt.UTC) + dt.timedelta(seconds=seconds)).astimezone(moment.tzinfo)


def _parameter(moment: dt.datetime) -> str:
    """With its offset, so that it means the same to everybody."""
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
