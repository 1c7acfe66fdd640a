"""Language, time zone and theme of the request, and how times and numbers are written in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from babel.dates import format_timedelta
from babel.numbers import NumberPattern, format_decimal, parse_pattern
from flask import Flask, g, session
from flask_babel import Babel, get_domain, get_locale, gettext, refresh
from flask_login import current_user

from dashboard.accounts import LANGUAGES, Preferences
from dashboard.state import state

LANGUAGE_NAMES = {"es": "Español", "en": "English"}
_REGIONS = (
    *("Africa/", "America/", "Antarctica/", "Arctic/", "Asia/"),
    *("Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/"),
)
_DATE = {"es": "%d/%m/%Y", "en": "%Y-%m-%d"}


def init_app(app: Flask) -> None:
    """Set up Flask-Babel and the template filters `number`, `decimal`, `milliseconds`, `moment`, `ago`, `briefly`,
    `iso`."""
    Babel(
        app,
        default_translation_directories="translations",
        locale_selector=language,
        timezone_selector=lambda: zone().key,
    )
    # A page asks for thousands of texts; Flask-Babel finds the language anew for each.
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: _translations().ugettext(text),
        lambda one, many, count: _translations().ungettext(one, many, count),
        newstyle=True,
    )
    app.jinja_env.filters.update(
        number=number,
        decimal=decimal,
        milliseconds=milliseconds,
        moment=moment,
        ago=ago,
        briefly=briefly,
        iso=iso,
    )
    app.jinja_env.globals.update(
        language=language, theme=theme, times=times, density=density, language_names=LANGUAGE_NAMES
    )


def language() -> str:
    """`es` or `en`: the user's choice, else the session's, else the installation's."""
    if "language" not in g:
        chosen = _preferences().language or session.get("language")
        g.language = chosen if chosen in LANGUAGES else state().settings.language
    return g.language  # type: ignore[no-any-return]


def zone() -> ZoneInfo:
    """The user's time zone, used for every time that is shown, typed or exported."""
    if "zone" not in g:
        g.zone = ZoneInfo(_preferences().timezone or state().settings.timezone)
    return g.zone  # type: ignore[no-any-return]


def theme() -> str:
    """`auto`, `light` or `dark`."""
    return _preferences().theme


def density() -> str:
    """`comfortable` or `compact`."""
    return _preferences().density


def times() -> str:
    """`absolute` or `relative`: how the times in lists are written."""
    return str(g.times) if "times" in g else _preferences().times


@lru_cache(maxsize=1)
def zone_names() -> list[str]:
    """The IANA time zones a user may choose, by name."""
    return sorted(name for name in available_timezones() if name == "UTC" or name.startswith(_REGIONS))


def number(value: float) -> str:
    """A whole number with the language's thousands separators."""
    return _written(round(value), "#,##0", language())


def decimal(value: float, digits: int = 3) -> str:
    """A number with a fixed count of decimals."""
    return _written(value, "#,##0." + "0" * digits, language())


def milliseconds(value: float | None) -> str:
    """A duration in ms, without its unit, with as many decimals as make sense."""
    if value is None or value != value:
        return "–"
    if value < 10:
        return decimal(value, 2)
    return decimal(value, 1) if value < 100 else number(value)


def shortest(value: float) -> str:
    """A number with no more decimals than it needs."""
    return _written(value, "#,##0.###", language())


def local(value: datetime) -> datetime:
    """The time in the user's zone."""
    try:
        return value.astimezone(zone())
    except OverflowError:  # the first and last day of the calendar
        return value


def moment(value: datetime | None, precision: Literal["minute", "second", "full"] = "second") -> str:
    """Date and time in the user's zone; `full` adds milliseconds and the zone."""
    if value is None:
        return "–"
    time = local(value)
    date = time.strftime(_DATE[language()]) if time.year >= 1000 else time.isoformat()[:10]
    if precision == "minute":
        return f"{date} {time:%H:%M}"
    if precision == "second":
        return f"{date} {time:%H:%M:%S}"
    return f"{date} {time:%H:%M:%S}.{time.microsecond // 1000:03d} {time:%Z}"


def ago(value: datetime | None, form: Literal["long", "short"] = "long") -> str:
    """How long ago, such as “hace 2 minutos” or “hace 2 min”."""
    if value is None:
        return "–"
    seconds = (datetime.now(UTC) - value).total_seconds()
    if -5 <= seconds < 2:
        return str(gettext("just now"))
    return format_timedelta(timedelta(seconds=-seconds), add_direction=True, format=form, locale=get_locale())


def briefly(value: datetime | None) -> str:
    """How long ago, such as “hace 2 min”."""
    return ago(value, "short")


def iso(value: datetime | None) -> str:
    """RFC 3339 in the user's zone, for `<time datetime>`."""
    return local(value).isoformat(timespec="milliseconds") if value else ""


def use_zone(chosen: ZoneInfo) -> None:
    """Show the times of this request in another zone than the user's: the one its URL names."""
    g.zone = chosen


def use_times(chosen: str) -> None:
    """Write the times of this request's lists in another style than the user's: the one its URL names."""
    g.times = chosen


def forget() -> None:
    """Read the preferences anew, after they were changed."""
    for name in ("preferences", "language", "zone", "translations"):
        g.pop(name, None)
    refresh()


# A page of trends writes thousands of numbers, most of them twice: in a chart and in its table.
@lru_cache(maxsize=20_000)
def _written(value: float, pattern: str, locale: str) -> str:
    return format_decimal(value, format=_pattern(pattern), locale=locale)


@lru_cache(maxsize=100)
def _pattern(text: str) -> NumberPattern:
    return parse_pattern(text)


def _translations() -> Any:
    if "translations" not in g:
        g.translations = get_domain().get_translations()
    return g.translations


def _preferences() -> Preferences:
    if "preferences" not in g:
        name = current_user.name if current_user and current_user.is_authenticated else None
        g.preferences = state().accounts.preferences(name) if name else Preferences()
    return g.preferences  # type: ignore[no-any-return]
