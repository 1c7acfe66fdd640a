"""Query parameters: what they mean, what is refused, and that they render back."""

from __future__ import annotations

import datetime as dt
import re
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from dashboard import joined, searching
from dashboard.columns import ADMIN_CHANGES, API_REQUESTS, REPORTS, Report
from dashboard.filters import FilterErrors, Query, decode, exact, parse

MADRID = ZoneInfo("Europe/Madrid")
#: What the indexes of words are made of.
PLAIN, HEX = searching._plain_words(), searching._hex_words()
JOINED = [words(searching._texts()) for words in (joined.address_words, joined.mixed_words)]


def whole(number: int) -> str:
    """The test of a whole word that may be hexadecimal."""
    return f"(hasAllTokens({PLAIN}, {{p{number}:String}}) OR hasAllTokens({HEX}, {{p{number}:String}}))"


HOSTILE = "x'; DROP TABLE api_requests --\\ {p0:String} %(a)s `\"\t\r\n é🎉"


def query(text: str, report: Report = API_REQUESTS, zone: ZoneInfo = MADRID) -> Query:
    return parse(decode(text.encode()), report, zone)


def refused(text: str, report: Report = API_REQUESTS) -> dict[str, str]:
    with pytest.raises(FilterErrors) as caught:
        query(text, report)
    return {error.parameter: error.expected for error in caught.value.errors}


def instant(text: str, parameter: str = "from") -> str:
    found = query(f"{parameter}={quote(text, safe='+ :')}")
    moment = found.since if parameter == "from" else found.until
    assert moment
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_nothing_asked_is_everything_newest_first() -> None:
    found = query("")
    assert found.where() == ("", {})
    assert (found.sort, found.page, found.per_page) == ("-requested_at", 1, 100)
    assert found.args() == {}


@pytest.mark.parametrize(
    ("text", "sql", "values"),
    [
        ("user=crm", "((user = {p0:String}))", ["crm"]),
        ("user=a&user=b", "((user = {p0:String}) OR (user = {p1:String}))", ["a", "b"]),
        ("-user=a&-user=b", "NOT ((user = {p0:String}) OR (user = {p1:String}))", ["a", "b"]),
        ("user=", "((user = {p0:String}))", [""]),
        ("path=/api/*", "((path LIKE {p0:String}))", ["/api/%"]),
        (
            "path=/api/v2/cpes/4711/*",
            f"((path LIKE {{p0:String}} AND {whole(1)}))",
            ["/api/v2/cpes/4711/%", "4711"],
        ),
        (
            "path=100%25_*",
            f"((path LIKE {{p0:String}} AND hasAllTokens({PLAIN}, {{p1:String}})))",
            ["100\\%\\_%", "100"],
        ),
        (r"path=\*", "((path = {p0:String}))", ["*"]),
        (r"path=\\*", "((path LIKE {p0:String}))", ["\\\\%"]),
        (r"user=DOMAIN\user", "((user = {p0:String}))", ["DOMAIN\\user"]),
        ("status_code=404", "((status_code = {p0:Int64}))", ["404"]),
        ("status_code=>=500", "((status_code >= {p0:Int64}))", ["500"]),
        ("status_code=<2", "((status_code < {p0:Int64}))", ["2"]),
        ("status_code=200..299", "((status_code BETWEEN {p0:Int64} AND {p1:Int64}))", ["200", "299"]),
        ("response_ms=>=0.5", "((response_ms >= {p0:Float64}))", ["0.5"]),
        ("remote_addr=192.0.2.7", "((remote_addr = {p0:IPv6}))", ["::ffff:192.0.2.7"]),
        (
            "remote_addr=192.0.2.0/24",
            "((remote_addr BETWEEN {p0:IPv6} AND {p1:IPv6}))",
            ["::ffff:192.0.2.0", "::ffff:192.0.2.255"],
        ),
        (
            "remote_addr=2001:db8::/127",
            "((remote_addr BETWEEN {p0:IPv6} AND {p1:IPv6}))",
            ["2001:db8::", "2001:db8::1"],
        ),
        ("remote_addr=", "((remote_addr = {p0:IPv6}))", ["::"]),
        ("masked=pin", "((has(masked, {p0:String})))", ["pin"]),
        ("masked=p*", "((arrayExists(item -> item LIKE {p0:String}, masked)))", ["p%"]),
        (
            "event_id=0198C0DE-0000-7000-8000-00000000000A",
            "((event_id = {p0:UUID}))",
            ["0198c0de-0000-7000-8000-00000000000a"],
        ),
        (
            "requested_at=>=2026-11-23",
            "((requested_at >= {p0:DateTime64(3, 'UTC')}))",
            ["2026-11-22 23:00:00.000"],
        ),
        (
            "from=2026-11-01&to=2026-11-02",
            "requested_at >= {p0:DateTime64(3, 'UTC')} AND requested_at < {p1:DateTime64(3, 'UTC')}",
            ["2026-10-31 23:00:00.000", "2026-11-01 23:00:00.000"],
        ),
    ],
)
def test_what_a_parameter_means(text: str, sql: str, values: list[str]) -> None:
    assert query(text).where() == (sql, {f"p{index}": value for index, value in enumerate(values)})


def test_an_enum_takes_wildcards_over_its_choices() -> None:
    sql, parameters = query("action=*tion&-action=change", ADMIN_CHANGES).where()
    assert parameters == {"p0": "addition", "p1": "deletion", "p2": "change"}
    assert sql.startswith("((action = {p0:String} OR action = {p1:String})) AND NOT")


@pytest.mark.parametrize(
    ("text", "parameter"),
    [
        ("nonsense=1", "nonsense"),
        ("-from=2026-01-01", "-from"),
        ("status=500", "status"),
        ("status_code=", "status_code"),
        ("status_code=abc", "status_code"),
        ("status_code=4*", "status_code"),
        ("status_code=40.5", "status_code"),
        ("status_code=%C2%B2", "status_code"),
        ("status_code=٤٠٤", "status_code"),
        ("status_code=" + "9" * 40, "status_code"),
        ("status_code=9223372036854775808", "status_code"),
        ("status_code=299..200", "status_code"),
        ("status_code=200..", "status_code"),
        ("response_ms=nan", "response_ms"),
        ("response_ms=>inf", "response_ms"),
        ("response_ms=1e999", "response_ms"),
        ("remote_addr=300.1.1.1", "remote_addr"),
        ("remote_addr=10.0.0.0/33", "remote_addr"),
        ("remote_addr=fe80::1%25eth0", "remote_addr"),
        ("remote_addr=10.*", "remote_addr"),
        ("event_id=123", "event_id"),
        ("event_id={0198c0de-0000-7000-8000-00000000000a}", "event_id"),
        ("from=yesterday", "from"),
        ("from=", "from"),
        ("from=2026-02-30", "from"),
        ("from=0001-01-01", "from"),
        ("from=9999-12-31T23:59:59-14:00", "from"),
        ("to=2300-01-01", "to"),
        ("from=2026-01-01&from=2026-01-02", "from"),
        ("from=2026-01-02&to=2026-01-01", "to"),
        ("from=2026-01-02&to=2026-01-02", "to"),
        ("tz=Mars/Olympus", "tz"),
        ("tz=../../etc/passwd", "tz"),
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=1.5", "page"),
        ("page=1&page=2", "page"),
        ("page=99999999999999999999", "page"),
        ("per_page=1001", "per_page"),
        ("per_page=", "per_page"),
        ("sort=nonsense", "sort"),
        ("sort=--user", "sort"),
        ("sort=data", "sort"),
        ("sort=user&sort=path", "sort"),
        ("requested_at=>now-1h", "requested_at"),
        ("from=now-1x", "from"),
        ("from=now-99999y", "from"),
        ("from=now&to=now-1h", "to"),
        ("field.=1", "field."),
        ("field.a%0Ab=1", "field.a\\nb"),
        ("field." + "x" * 101 + "=1", "field." + "x" * 94),
        ("user=a%00b", "user"),
        ("q=%00", "q"),
        ("user=%FF", "user"),
        ("q=%ED%A0%80", "q"),
        ("%FF=1", "�"),
        ("user=" + "x" * 2001, "user"),
        ("&".join(f"user={number}" for number in range(101)), "…"),
    ],
)
def test_what_is_refused(text: str, parameter: str) -> None:
    assert list(refused(text)) == [parameter]


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(FilterErrors):
        parse(MultiDict([("user", "\ud800")]), API_REQUESTS, MADRID)


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert set(refused("page=x&from=y&status_code=z&nonsense=1")) == {
        "page",
        "from",
        "status_code",
        "nonsense",
    }


def test_secrets_are_not_repeated() -> None:
    with pytest.raises(FilterErrors) as caught:
        query("wifi_password=hunter2&from=password%3Dhunter2")
    assert "hunter2" not in repr(caught.value.errors)
    assert {error.parameter for error in caught.value.errors} == {"wifi_password", "from"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23", "2026-11-22T23:00:00.000Z"),
        ("2026-07-23", "2026-07-22T22:00:00.000Z"),
        ("2026-11-23T10:00", "2026-11-23T09:00:00.000Z"),
        ("2026-11-23 10:00:05", "2026-11-23T09:00:05.000Z"),
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00.000Z"),
        ("2026-11-23t10:00:00z", "2026-11-23T10:00:00.000Z"),
        ("2026-11-23T10:00:00.5+02:00", "2026-11-23T08:00:00.500Z"),
        ("2026-11-23T10:00:00-0330", "2026-11-23T13:30:00.000Z"),
        ("2026-11-23T10:00:00.0001Z", "2026-11-23T10:00:00.001Z"),
        ("2026-11-23T10:00:00.999999999Z", "2026-11-23T10:00:01.000Z"),
        # Skipped when the clocks are put forward; put back, 02:30 comes twice.
        ("2026-03-29T02:30", "2026-03-29T01:30:00.000Z"),
        ("2026-10-25T02:30", "2026-10-25T00:30:00.000Z"),
        ("1900-01-02", "1900-01-02T00:14:44.000Z"),
    ],
)
def test_times(text: str, expected: str) -> None:
    assert instant(text) == expected


def test_to_takes_the_second_of_two_equal_local_times() -> None:
    assert instant("2026-10-25T02:30", "to") == "2026-10-25T01:30:00.000Z"


def test_the_days_around_a_change_of_clocks_have_23_and_25_hours() -> None:
    for day, next_day, hours in (("2026-03-29", "2026-03-30", 23), ("2026-10-25", "2026-10-26", 25)):
        found = query(f"from={day}&to={next_day}")
        assert found.since
        assert found.until
        assert found.until - found.since == dt.timedelta(hours=hours)


def test_a_zone_can_be_named() -> None:
    found = query("from=2026-11-23&tz=America/Bogota")
    assert found.since == dt.datetime(2026, 11, 23, 5, tzinfo=dt.UTC)
    assert found.args()["tz"] == ["America/Bogota"]


def test_a_plus_that_was_not_encoded() -> None:
    assert query("from=2026-11-23T10:00:00+02:00").since == dt.datetime(2026, 11, 23, 8, tzinfo=dt.UTC)


def test_search_looks_at_numbers_addresses_and_ids_only_when_they_can_match() -> None:
    words, _ = query("q=hello there").where()
    for name in ("status_code", "remote_addr", "event_id", "kafka_topic"):
        assert name not in words
    for name in ("path", "data", "response", "errors", "masked"):
        assert name in words
    both, parameters = query("q=one&q=two&-q=three", ADMIN_CHANGES).where()
    assert parameters == {"p0": "one", "p1": "two", "p2": "three"}
    assert re.fullmatch(r"\([^)]*p0.*\) AND \(.*p1.*\) AND NOT \(.*p2.*\)", both)
    digits, parameters = query("q=404").where()
    assert "status_code = toFloat64({p0:String})" in digits
    assert "remote_addr" in digits
    assert parameters == {"p0": "404"}
    for other in ("0404", "404.0", "+404", "404."):
        assert "status_code" not in query(f"q={quote(other)}").where()[0]


def test_callers_are_asked_for_a_group_of_an_address_by_the_index_where_it_has_four_digits() -> None:
    for text in ("2001", "beef"):
        assert JOINED[1] in query(f"q={text}").where()[0]
        assert "NOT BETWEEN" not in query(f"q={text}").where()[0]
    for text in ("200", "be"):
        assert JOINED[1] not in query(f"q={text}").where()[0]


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_ids_are_not_looked_into_for_a_number(report: Report) -> None:
    for text in ("1505", "965123456", "2026-11-30"):
        assert "event_id" not in query(f"q={text}", report).where()[0]
    for text in ("1505a", "A-1505", "00000000-0000-4000-8000-000000001505"):
        assert "event_id" in query(f"q={text}", report).where()[0]


@pytest.mark.parametrize("text", ["pim012345", "MiFibra", "Agüero", "10.1.17.2", "A4:BA:76:01:02:03", "r-1", "965123"])
def test_what_few_rows_have_is_told_ahead(text: str) -> None:
    assert searching.is_told_ahead(text)


@pytest.mark.parametrize("text", ["777", "20412", "deadbeef", "0190a2b3-c4d5", "1e9"])
def test_what_any_row_or_many_may_have_is_not(text: str) -> None:
    assert not searching.is_told_ahead(text)


def test_changes_to_the_url() -> None:
    found = query("user=a&user=b&-path=/x*&from=2026-11-23&q=t&sort=user&page=3&per_page=50")
    assert parse(MultiDict(found.args()), API_REQUESTS, MADRID) == found
    assert found.args(page=4)["page"] == ["4"]
    assert "page" not in found.args(user="c")
    assert found.args(user=None, from_="2026-01-01") == {
        "-path": ["/x*"],
        "from": ["2026-01-01"],
        "q": ["t"],
        "sort": ["user"],
        "per_page": ["50"],
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-03-30T10:20:30.000Z"),
        ("now-15m", "2026-03-30T10:05:30.000Z"),
        # The clocks were put forward on Sunday the 29th: hours pass, days are those of the calendar.
        ("now-48h", "2026-03-28T10:20:30.000Z"),
        ("now-2d", "2026-03-28T11:20:30.000Z"),
        ("now/m", "2026-03-30T10:20:00.000Z"),
        ("now/h", "2026-03-30T10:00:00.000Z"),
        ("now/d", "2026-03-29T22:00:00.000Z"),
        ("now-1d/d", "2026-03-28T23:00:00.000Z"),
        ("now/w", "2026-03-29T22:00:00.000Z"),
        ("now-1w/w", "2026-03-22T23:00:00.000Z"),
        ("now-1M", "2026-02-28T11:20:30.000Z"),
        ("now-1M/M", "2026-01-31T23:00:00.000Z"),
        ("now-13M/y", "2024-12-31T23:00:00.000Z"),
    ],
)
def test_relative_times_move_with_the_clock_of_the_zone(text: str, expected: str) -> None:
    now = dt.datetime(2026, 3, 30, 10, 20, 30, tzinfo=dt.UTC)
    found = parse(decode(f"from={text}".encode()), API_REQUESTS, MADRID, now)
    assert found.since
    assert found.since.isoformat(timespec="milliseconds").replace("+00:00", "Z") == expected
    # They stay relative in the URL.
    assert found.args() == {"from": [text]}


names = st.sampled_from([sign + column.name for column in API_REQUESTS.columns for sign in ("", "-")])
singles = st.sampled_from(["from", "to", "q", "sort", "page", "per_page", "tz", "nonsense"])
pairs = st.lists(
    st.tuples(names | singles, st.text(max_size=30) | st.sampled_from([HOSTILE, ">=500", "*"])), max_size=5
)


@given(pairs)
@example([("q", "0")])
@example([("q", "00000000-0000-4000-8000-000000000000"), ("-q", "a4:ba:76:01:02:03 Muñoz")])
def test_no_value_becomes_sql(arguments: list[tuple[str, str]]) -> None:
    try:
        found = parse(MultiDict(arguments), API_REQUESTS, MADRID)
    except FilterErrors:
        return
    sql, parameters = found.where()
    ours = sql
    for indexed in (*JOINED, PLAIN, HEX, "match(request_id, '^[0-9a-f-]*$')"):
        ours = ours.replace(indexed, "words")
    skeleton = re.sub(r"\{p[0-9]+:[A-Za-z0-9]+(?:\(3, 'UTC'\))?\}", "?", ours)
    known = {column.name for column in API_REQUESTS.columns}
    known |= {"AND", "OR", "NOT", "LIKE", "BETWEEN", "has", "arrayExists", "item", "toString", "toIPv6", "if"}
    known |= {"positionCaseInsensitive", "positionCaseInsensitiveUTF8", "replaceOne", "ffff", "0"}
    known |= {"hasAnyTokens", "SELECT", "FROM", "AS", "arrayJoin", "groupArray"}
    known |= {"concat", "head", "tail", "splitByChar"}
    known |= {"position", "toFloat64", "toUUID", "hasAllTokens", "words"}
    assert set(re.findall(r"\w+", skeleton)) <= known
    assert set(re.findall(r"[^\w\s]", skeleton)) <= set("?(),=<>-':")
    assert set(parameters) == set(re.findall(r"\{(p[0-9]+):", sql))


@given(pairs)
def test_a_query_renders_back(arguments: list[tuple[str, str]]) -> None:
    try:
        found = parse(MultiDict(arguments), API_REQUESTS, MADRID)
    except FilterErrors:
        return
    again = parse(decode(urlencode(found.args(), doseq=True).encode()), API_REQUESTS, MADRID)
    assert again.where() == found.where()
    assert again.args() == found.args()
    assert (again.sort, again.page, again.per_page) == (found.sort, found.page, found.per_page)


@given(st.text(max_size=50).filter(lambda text: "\0" not in text))
def test_exact_matches_the_text_itself(text: str) -> None:
    found = parse(MultiDict([("path", exact(text))]), API_REQUESTS, MADRID)
    sql, parameters = found.where()
    has = r"hasAllTokens\(words, \{p[0-9]+:String\}\)"
    tests = rf"(?: AND (?:{has}|\({has} OR {has}\)))*"
    assert re.fullmatch(rf"\(\(path = \{{p0:String\}}{tests}\)\)", sql.replace(PLAIN, "words").replace(HEX, "words"))
    assert parameters.pop("p0") == text
    # Only whole words of the text, which the indexes of words hold.
    words = " ".join(map(str, parameters.values())).split()
    assert set(words) <= set(re.findall("[0-9a-z]+", text.lower()))


@given(st.binary(max_size=60))
def test_any_query_string_is_understood_or_refused(text: bytes) -> None:
    try:
        parse(decode(text), API_REQUESTS, MADRID)
    except FilterErrors as wrong:
        for error in wrong.errors:
            assert error.parameter.isprintable()
            assert error.value.isprintable()
            assert error.expected
