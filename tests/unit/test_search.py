"""The search bar's language: what it means, where it is wrong, and that it and the parameters say the same."""

from __future__ import annotations

import datetime as dt
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from dashboard import dates, filters, qualifiers, search
from dashboard.columns import ADMIN_CHANGES, API_REQUESTS, REPORTS, Report
from dashboard.filters import FilterErrors

MADRID = ZoneInfo("Europe/Madrid")
#: A Wednesday.
NOW = dt.datetime(2026, 11, 25, 14, 30, tzinfo=MADRID)


def parsed(text: str, report: Report = API_REQUESTS) -> list[tuple[str, str]]:
    return search.parse(text, report, MADRID, NOW)


def wrong(text: str, report: Report = API_REQUESTS) -> list[tuple[str, str, dict[str, str]]]:
    """Of each error: the part of the text, the message and what fills it."""
    with pytest.raises(search.SearchErrors) as caught:
        parsed(text, report)
    return [(text[error.start : error.end], error.message, dict(error.values)) for error in caught.value.errors]


def test_every_column_has_a_name_and_no_name_means_two_things() -> None:
    for report in REPORTS:
        spellings = [dates.plain(name) for each in qualifiers.of(report) for name in set(qualifiers.spellings(each))]
        plain = {
            name: [each for each in qualifiers.of(report) if name in map(dates.plain, qualifiers.spellings(each))]
            for name in spellings
        }
        assert {name: found for name, found in plain.items() if len(found) > 1} == {}
        assert not any(search._GROUPS.match(f"{name}:12:30") for name in spellings)
        assert {each.parameter for each in qualifiers.of(report)} == {*report.by_name, "date", "from", "to"}


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", ""),
        ("   ", ""),
        ("user:crm-a", "user=crm-a"),
        ("usuario:crm-a USER:crm-b", "user=crm-a&user=crm-b"),
        ("status:>=500 -method:GET", "status_code=>%3D500&-method=GET"),
        ("estado:5xx método:patch -metodo:get", "status_code=500..599&method=PATCH&-method=GET"),
        ("path:/api/v2/isp/cpes/* ip:10.0.0.0/8", "path=/api/v2/isp/cpes/*&remote_addr=10.0.0.0/8"),
        ("duration:>2s", "response_ms=>2000"),
        ("duración:<=1,5min", "response_ms=<%3D90000"),
        ("ms:300ms..2s tiempo:17.5", "response_ms=300..2000&response_ms=17.5"),
        ("postalcode:1505", "field.postalcode=1505"),
        ("-postalcode:15*", "-field.postalcode=15*"),
        ("field.user:crm", "field.user=crm"),
        ('"user":crm "Postal code":""', "field.user=crm&field.Postal code="),
        ('user:"crm a" user:"say ""hi"""', 'user=crm a&user=say "hi"'),
        ('user:""', "user="),
        (r"user:DOMAIN\user path:\*", r"user=DOMAIN\user&path=\*"),
        ("free text", "q=free&q=text"),
        ('"free text" -"not this" -nor', "q=free text&-q=not this&-q=nor"),
        ("https://krill.example/x fe80::1 10:30 -", "q=https://krill.example/x&q=fe80::1&q=10:30&q=-"),
        (
            "a4:ba:76:01:02:03 -FA:16:3E dead:beef::1 fa:16:3e:",
            "q=a4:ba:76:01:02:03&-q=FA:16:3E&q=dead:beef::1&q=fa:16:3e:",
        ),
        ('a4:ba "a4":ba:76 mac:a4:ba:76:01:02:03', "field.a4=ba&field.a4=ba:76&field.mac=a4:ba:76:01:02:03"),
        ("vista:*CpeViewSet plantilla:/x/{id}/", "view=*CpeViewSet&route=/x/{id}/"),
        ("user:a user:a x x", "user=a&q=x"),
        ("kafka_partition:<2 requested_at:>=2026-11-01", "kafka_partition=<2&requested_at=>%3D2026-11-01"),
        ("date:yesterday", "from=now-1d/d&to=now/d"),
        ('fecha:"últimos 15 min"', "from=now-15m"),
        ("fecha:últimos 15 min error", "from=now-15m&q=error"),
        ("fecha:15/11/2026 10:30", "from=2026-11-15T10:30:00%2B01:00&to=2026-11-15T10:31:00%2B01:00"),
        ("desde:lunes hasta:hoy", "from=2026-11-23T00:00:00%2B01:00&to=now/d"),
        ("since:2026-11-20T10:00", "from=2026-11-20T10:00:00%2B01:00"),
        ("desde:now-2h", "from=now-2h"),
        ("date:2026-11-01..2026-11-15", "from=2026-11-01T00:00:00%2B01:00&to=2026-11-16T00:00:00%2B01:00"),
        ("fecha:lunes..miércoles", "from=2026-11-23T00:00:00%2B01:00&to=2026-11-26T00:00:00%2B01:00"),
        ("date:>=ayer user:x", "from=now-1d/d&user=x"),
    ],
)
def test_what_a_text_means(text: str, query: str) -> None:
    assert parsed(text) == parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("acción:alta", "addition"),
        ("acción:Modificación", "change"),
        ("accion:borrado", "deletion"),
        ("action:del*", "del*"),
    ],
)
def test_what_was_done_has_spanish_words(text: str, action: str) -> None:
    assert parsed(text, ADMIN_CHANGES) == [("action", action)]
    assert parsed("acción:alta") == [("action", "alta")]  # of the API it is the name of an endpoint's action


def test_the_admin_report_has_names_of_its_own() -> None:
    text = "usuario:ignacio acción:change modelo:cpe objeto:pim0585 campo:postalcode postalcode:1505 tipo:cpe id:585"
    assert parsed(text, ADMIN_CHANGES) == [
        ("user", "ignacio"),
        ("action", "change"),
        ("model", "cpe"),
        ("object_repr", "pim0585"),
        ("changed_fields", "postalcode"),
        ("field.postalcode", "1505"),
        ("object_type", "cpe"),
        ("object_id", "585"),
    ]


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ('user:"crm', 'user:"crm', search.UNCLOSED),
        ("a user: b", "user:", search.NO_VALUE),
        ("x estdo:500", "estdo:", search.UNKNOWN),
        ("-usuarios:x", "-usuarios:", search.UNKNOWN),
        ("status:abc", "abc", search.UNUSABLE),
        ("ip:300.1.1.1 x", "300.1.1.1", search.UNUSABLE),
        ("duration:2weeks", "2weeks", search.UNUSABLE),
        ("duration:", "duration:", search.NO_VALUE),
        ("event:17", "17", search.UNUSABLE),
        ("date:gestern", "gestern", search.UNUSABLE),
        ("date:31/02", "31/02", search.UNUSABLE),
        ("since:a..b", "a..b", search.UNUSABLE),
        ("-date:today", "-date:today", search.NOT_A_DATE),
        ("date:today since:yesterday", "yesterday", search.UNUSABLE),
        ('"' + "k" * 101 + '":x', '"' + "k" * 101 + '":', search.NO_FIELD),
    ],
)
def test_errors_say_where_and_what_instead(text: str, where: str, message: str) -> None:
    assert [(part, said) for part, said, _ in wrong(text)] == [(where, message)]


def test_a_slip_of_the_fingers_can_be_put_right() -> None:
    with pytest.raises(search.SearchErrors) as caught:
        parsed("x -estdo:>=500 sttus:4xx")
    first, second = caught.value.errors
    assert (first.values["known"], first.better) == ("estado", "x -estado:>=500 sttus:4xx")
    assert second.values["known"] == "status"


@pytest.mark.parametrize(
    ("query", "spanish", "english"),
    [
        ("user=crm-a&-method=GET", "usuario:crm-a -método:GET", "user:crm-a -method:GET"),
        ("response_ms=>2000&status_code=500..599", "duración:>2s estado:5xx", "duration:>2s status:5xx"),
        ("status_code=200..399&response_ms=0.5..90000", "estado:200..399 duración:0.5ms..90s", None),
        ("q=free text&q=word&-q=x:y", '"free text" word -"x:y"', '"free text" word -"x:y"'),
        ("field.postalcode=1505&field.user=x", 'postalcode:1505 "user":x', 'postalcode:1505 "user":x'),
        ("from=now-15m", 'fecha:"últimos 15 min"', 'date:"last 15 min"'),
        ("from=now-1h", 'fecha:"última hora"', 'date:"last hour"'),
        ("from=now-1d/d&to=now/d&user=a", "fecha:ayer usuario:a", "date:yesterday user:a"),
        ("user=&from=2026-11-20T10:00:00%2B01:00", 'usuario:"" desde:2026-11-20T10:00', None),
        ("from=2026-11-01&to=2026-11-16", "fecha:2026-11-01..2026-11-15", "date:2026-11-01..2026-11-15"),
        ("from=2026-10-25T02:30:00%2B02:00&to=2026-10-25T02:30:00%2B01:00", None, None),
        ("field.a4=ba:76&field.a4=ba&q=a4:ba:76", '"a4":ba:76 a4:ba a4:ba:76', None),
        ("from=now/d&q=el", 'fecha:hoy "el"', 'date:today "el"'),
    ],
)
def test_how_parameters_are_written(query: str, spanish: str | None, english: str | None) -> None:
    pairs = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)
    for language, text in (("es", spanish), ("en", english)):
        found, others = search.render(pairs, API_REQUESTS, language, MADRID)
        assert others == []
        if text is not None:
            assert found == text
        assert meaning(search.parse(found, API_REQUESTS, MADRID, NOW), API_REQUESTS) == meaning(pairs, API_REQUESTS)


def test_what_the_bar_has_no_words_for_is_left_over() -> None:
    pairs = [("sort", "user"), ("user", "a\nb"), ("nonsense", "1"), ("-from", "x"), ("user", "b"), ("page", "2")]
    text, others = search.render(pairs, API_REQUESTS, "en", MADRID)
    assert text == "user:b"
    assert others == [pair for pair in pairs if pair != ("user", "b")]


def meaning(pairs: list[tuple[str, str]], report: Report) -> object:
    query = filters.parse(MultiDict(pairs), report, MADRID, NOW)
    conditions = {(each.column.name, each.negated, each.sql(lambda value, _: repr(value))) for each in query.conditions}
    return conditions, set(query.q), set(query.without_q), query.since, query.until


words = st.text(max_size=20) | st.sampled_from(
    [
        *(*'"-:*\\', "é:", "-x", "user:", '""', "hoy", "el", "02", "a b", "now", ">=5", "1..2", "5xx", "2s", "10:30"),
        *("ba:76", "a4:ba:76"),
    ]
)
numbers = st.sampled_from(["200", ">=500", "<2", "200..299", "200..599", "0", "2000", ">90000", "1e3", "0.50", "-5"])
instants = st.sampled_from(
    [
        *("2026-11-01", "1999-12-31", "2026-11-20T10:00:01.5Z", "2026-11-20T10:00:00+01:00", "2026-03-29T02:30"),
        *("2026-10-25T02:30", "2026-10-25T02:30:00+02:00"),
    ]
)
moments = instants | st.sampled_from(["now", "now-15m", "now/d", "now-1d/d", "now-1w/w", "now-1M"])
keys = st.text(min_size=1, max_size=10) | st.sampled_from(
    ["user", "estdo", "postalcode", "field.x", "Postal code", '"', "a4"]
)


def parameters(report: Report) -> st.SearchStrategy[tuple[str, str]]:
    of_kind = {"number": numbers, "time": instants, "address": st.sampled_from(["", "10.0.0.0/8", "::1"])}
    of_kind["uuid"] = st.uuids().map(str)
    columns = st.sampled_from(report.columns).flatmap(
        lambda column: st.tuples(
            st.sampled_from(["", "-"]).map(lambda sign: sign + column.name),
            st.sampled_from(column.choices) if column.choices else of_kind.get(column.kind, words),
        )
    )
    fields = st.tuples(keys.map("field.{}".format) | keys.map("-field.{}".format), words)
    texts = st.tuples(st.sampled_from(["q", "-q"]), words)
    return columns | fields | texts | st.tuples(st.sampled_from(["from", "to"]), moments)


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
@pytest.mark.parametrize("language", ["es", "en"])
@given(data=st.data())
def test_the_text_of_parameters_means_the_same(report: Report, language: str, data: st.DataObject) -> None:
    pairs = data.draw(st.lists(parameters(report), max_size=5))
    try:
        meant = meaning(pairs, report)
    except FilterErrors:
        return
    text, others = search.render(pairs, report, language, MADRID)
    again = search.parse(text, report, MADRID, NOW)
    assert meaning([*again, *others], report) == meant
    # It is the canonical text: writing it once more changes nothing.
    assert search.render(again, report, language, MADRID)[0] == text


@given(st.text(max_size=60) | st.lists(words, max_size=8).map(" ".join))
@example('"":x')
@example('-""')
def test_any_text_is_understood_or_refused_where_it_is_wrong(text: str) -> None:
    for report in REPORTS:
        try:
            pairs = search.parse(text, report, MADRID, NOW)
        except search.SearchErrors as caught:
            places = [(error.start, error.end, len(text)) for error in caught.errors]
            assert places
            assert all(0 <= start < end <= length for start, end, length in places)
            assert all(error.message % {"expected": "", **error.values} for error in caught.errors)  # noqa: PT017
            continue
        again, others = search.render(pairs, report, "es", MADRID)
        assert others == []
        assert search.render(search.parse(again, report, MADRID, NOW), report, "es", MADRID)[0] == again
