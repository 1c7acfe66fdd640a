"""Dates as people say them: what they mean, also where the clocks change, and how they are written."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import dates, times
from dashboard.ranges import QUICK_RANGES, quick_range

MADRID = ZoneInfo("Europe/Madrid")
#: A Wednesday.
NOW = dt.datetime(2026, 11, 25, 14, 30, 15, tzinfo=MADRID)


@pytest.mark.parametrize(
    ("texts", "since", "until"),
    [
        (("last 15 min", "últimos 15 minutos", "15min", "hace 15 min", "15 minutes ago"), "now-15m", None),
        (("last hour", "última hora", "1h", "LA ÚLTIMA HORA"), "now-1h", None),
        (("últimas 24 h", "past 24 hours", "ultimas 24 horas"), "now-24h", None),
        (("last 7 days", "últimos 7 días"), "now-7d", None),
        (("last 3 months", "últimos 3 meses"), "now-3M", None),
        (("today", "hoy", " Hoy "), "now/d", None),
        (("yesterday", "ayer"), "now-1d/d", "now/d"),
        (("anteayer", "day before yesterday"), "now-2d/d", "now-1d/d"),
        (("this week", "esta semana"), "now/w", None),
        (("last week", "semana pasada", "la semana pasada"), "now-1w/w", "now/w"),
        (("this month", "este mes"), "now/M", None),
        (("mes pasado", "last month"), "now-1M/M", "now/M"),
        (("now-3h", "now-3h.."), "now-3h", None),
        (("monday", "lunes", "el lunes", "lun"), "2026-11-23T00:00:00+01:00", "2026-11-24T00:00:00+01:00"),
        (("wednesday", "miércoles"), "2026-11-25T00:00:00+01:00", "2026-11-26T00:00:00+01:00"),
        (("last wednesday", "miercoles pasado"), "2026-11-18T00:00:00+01:00", "2026-11-19T00:00:00+01:00"),
        (("15/11", "15.11", "15/11/2026", "2026-11-15"), "2026-11-15T00:00:00+01:00", "2026-11-16T00:00:00+01:00"),
        (("26/11", "26/11/2025"), "2025-11-26T00:00:00+01:00", "2025-11-27T00:00:00+01:00"),
        (("15/11/2026 10:30", "2026-11-15T10:30"), "2026-11-15T10:30:00+01:00", "2026-11-15T10:31:00+01:00"),
        (
            ("ayer 10:30", "yesterday at 10:30", "ayer a las 10:30"),
            "2026-11-24T10:30:00+01:00",
            "2026-11-24T10:31:00+01:00",
        ),
        (("10:30:05",), "2026-11-25T10:30:05+01:00", "2026-11-25T10:30:06+01:00"),
        (("lunes..miércoles", "monday .. wednesday"), "2026-11-23T00:00:00+01:00", "2026-11-26T00:00:00+01:00"),
        (("2026-11-01..2026-11-15",), "2026-11-01T00:00:00+01:00", "2026-11-16T00:00:00+01:00"),
        (("2026-10",), "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"),
        # The clocks go back on the 25th and forward on the 29th.
        (("25/10",), "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        (("29/3",), "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        (("25/10 2:30",), "2026-10-25T02:30:00+02:00", "2026-10-25T02:31:00+02:00"),
        ((">=ayer", "ayer.."), "now-1d/d", None),
        ((">ayer",), "now/d", None),
        (("<ayer",), None, "now-1d/d"),
        (("<=15/11", "..15/11"), None, "2026-11-16T00:00:00+01:00"),
        (("2026-11-20T10:00:00Z",), "2026-11-20T10:00:00Z", "2026-11-20T11:00:01+01:00"),
    ],
)
def test_what_is_said(texts: tuple[str, ...], since: str | None, until: str | None) -> None:
    for text in texts:
        assert dates.span(text, NOW) == (since, until), text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gestern",
        "31/02",
        "25:00",
        "15 pim",
        "..",
        "a..b",
        "9999-12-31",
        "0/1",
        "lunes 10",
        "..hoy",
        ">",
        "15/11/26",
    ],
)
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        dates.span(text, NOW)


@pytest.mark.parametrize("language", ["es", "en"])
def test_what_is_written_is_understood(language: str) -> None:
    for text in dates.suggestions(language):
        since, until = dates.span(text, NOW)
        assert dates.words(since, until, language, MADRID) == text
        assert since
        assert dates.moment(str(dates.word(since, language)), MADRID, NOW) == since


@given(st.text(max_size=30) | st.from_regex(r"[0-9/.: -]{1,20}|now-[0-9]{1,5}[dwMy](/[dwMy])?", fullmatch=True))
def test_any_text_is_a_span_or_none(text: str) -> None:
    try:
        since, until = dates.span(text, NOW)
    except ValueError:
        return
    for limit in (since, until):
        if limit and not times.is_relative(limit):
            assert instant(limit)
    for language in ("es", "en"):
        said = dates.words(since, until, language, MADRID)
        if said:
            again = dates.span(said, NOW)
            for one, other in zip((since, until), again, strict=True):
                assert instant(one) == instant(other)


def instant(limit: str | None) -> dt.datetime | None:
    return times.instant(limit, MADRID, now=NOW) if limit else None


def test_date_fields_take_words_and_leave_what_is_none() -> None:
    assert dates.moment("2026-07-01T10:00", MADRID) == "2026-07-01T10:00:00+02:00"
    assert dates.moment("2026-07-01T10:00Z", MADRID) == "2026-07-01T10:00Z"
    assert dates.moment("nonsense", MADRID) == "nonsense"
    assert dates.moment("ayer", MADRID, NOW) == "now-1d/d"
    assert dates.moment("25/10 2:30", MADRID, NOW, latest=True) == "2026-10-25T02:30:00+01:00"


def test_quick_ranges_count_real_hours_where_clocks_change() -> None:
    # On 25 October 2026 the clocks went back at 3:00.
    now = dt.datetime(2026, 10, 25, 12, 0, tzinfo=MADRID)
    monday = now + dt.timedelta(days=1)

    def local(text: str | None, now: dt.datetime) -> str:
        assert text
        return times.instant(text, MADRID, now=now).astimezone(MADRID).isoformat()

    assert local(quick_range("24h")[0], now) == "2026-10-24T13:00:00+02:00"
    assert local(quick_range("today")[0], now) == "2026-10-25T00:00:00+02:00"
    since, until = quick_range("yesterday")
    assert (local(since, monday), local(until, monday)) == ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00")
    for name in QUICK_RANGES:
        assert local(quick_range(name)[0], now) < now.isoformat()
    with pytest.raises(KeyError):
        quick_range("forever")
