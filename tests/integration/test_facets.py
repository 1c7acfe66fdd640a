"""The histogram and the facets of a result: the same numbers as counted by hand, whatever the rows hold."""

from __future__ import annotations

import datetime as dt
import html
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from dashboard import facets, histogram
from dashboard.columns import ADMIN_CHANGES, API_REQUESTS, Report
from dashboard.filters import Query, parse
from dashboard.store import Store
from tests import site as sites
from tests.site import Site, text_of

MADRID = ZoneInfo("Europe/Madrid")
FILTERS: list[dict[str, str]] = [
    {},
    {"from": "2026-10-24", "to": "2026-10-26T07:13:21.5"},
    {"from": "2026-10-23T10:17", "to": "2026-10-26T07:13:21.5"},
    {"user": "crm-a", "-status_code": "500"},
    {"q": "pim0042"},
    {"user": "crm-a", "from": "2026-10-01T10:30"},
    {"user": "crm-*", "status_code": ">=400", "from": "2026-10-01", "to": "2026-12-01"},
    {"from": "2026-10-25T01:30", "to": "2026-10-25T04:30", "method": "GET"},
]


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture
def store(site: Site) -> Store:
    return site.app.extensions["krill_logger"].store  # type: ignore[no-any-return]


@pytest.fixture
def user(site: Site) -> FlaskClient:
    return site.user()


def query(args: dict[str, str], report: Report = API_REQUESTS, zone: ZoneInfo = MADRID) -> Query:
    return parse(MultiDict(args | {"per_page": "1000"}), report, zone)


def rows_of(store: Store, asked: Query) -> list[dict[str, Any]]:
    return [item for block in store.stream(asked) for item in block]


# Histogram


@pytest.mark.parametrize("args", FILTERS)
def test_the_histogram_counts_every_row_of_the_result_once(store: Store, args: dict[str, str]) -> None:
    asked = query(args)
    rows = rows_of(store, asked)
    found = store.histogram(asked)
    assert rows
    assert 1 <= len(found.buckets) <= histogram.MOST_BUCKETS
    for bucket in found.buckets:
        inside = Counter(row["status_code"] // 100 for row in rows if bucket.start <= row["requested_at"] < bucket.end)
        assert bucket.counts == (inside[5], inside[4], inside[3], inside[2], 0), bucket
    assert sum(sum(bucket.counts) for bucket in found.buckets) == len(rows) == store.count(asked, 5).rows


def test_the_admin_histogram_counts_by_action(store: Store) -> None:
    asked = query({}, ADMIN_CHANGES)
    actions = Counter(row["action"] for row in rows_of(store, asked))
    sums = [sum(counts) for counts in zip(*(b.counts for b in store.histogram(asked).buckets), strict=True)]
    assert sums == [actions["deletion"], actions["change"], actions["addition"], 0]
    assert all(sums[:3])


@pytest.mark.parametrize(
    ("since", "until", "zone", "step", "number"),
    [
        ("2026-11-22T10:00:00", "2026-11-22T10:00:01", "UTC", "1 second", 1),
        ("2026-11-22T10:00:00", "2026-11-22T10:15:00", "UTC", "15 second", 60),
        ("2026-11-22T10:00:00", "2026-11-22T11:00:00", "Asia/Kathmandu", "60 second", 60),
        ("2026-11-22", "2026-11-23", "Europe/Madrid", "1800 second", 48),
        ("2026-10-25", "2026-10-26", "Europe/Madrid", "1800 second", 50),
        ("2026-03-29", "2026-03-30", "Europe/Madrid", "1800 second", 46),
        ("2026-10-24", "2026-10-31", "Europe/Madrid", "3 hour", 56),
        ("2026-10-01", "2026-11-01", "Europe/Madrid", "1 day", 31),
        ("2026-01-01", "2027-01-01", "America/New_York", "7 day", 53),
        ("2020-01-01", "2025-01-01", "UTC", "1 month", 60),
        ("1900-01-01", "2299-12-30", "Europe/Madrid", "10 year", 40),
    ],
)
def test_buckets_have_round_limits_in_the_zone(since: str, until: str, zone: str, step: str, number: int) -> None:
    place = ZoneInfo(zone)
    first, last = (dt.datetime.fromisoformat(text).replace(tzinfo=place) for text in (since, until))
    found, limits = histogram.edges(first, last, place)
    assert f"{found.count} {found.unit}" == step
    assert len(limits) - 1 == number
    assert limits[0] <= first < limits[1]
    assert limits[-2] < last <= limits[-1]
    assert limits == sorted(set(limits))
    local = [limit.astimezone(place) for limit in limits]
    if found.unit != "second":
        assert all((limit.minute, limit.second) == (0, 0) for limit in local)
    if found.unit in ("day", "month", "year"):
        assert all(limit.hour == 0 for limit in local)
    if found.about >= 7 * 24 * 3600 - 3600 and found.unit == "day":
        assert all(limit.weekday() == 0 for limit in local)


def test_every_bar_leads_to_as_many_rows_as_it_counts(user: FlaskClient) -> None:
    page = user.get("/api-requests/histogram?fragment=1&user=crm-a&from=2026-10-25T06:10&to=2026-10-25T12:00").text
    bars = re.findall(r'<a href="([^"]+)" aria-label="([^"]+)"', page)
    assert len(bars) > 30
    counted = 0
    for href, label in bars[::6]:
        number = int(re.search(r"(\d+) eventos?", label)[1])  # type: ignore[index]
        counted += number
        text = text_of(user.get(html.unescape(href)).text)
        assert (f"de {number} elementos" in text) if number else ("Nada coincide" in text or "crm-a" in text)
    assert counted


def test_a_histogram_of_nothing_and_of_wrong_filters(store: Store, user: FlaskClient) -> None:
    assert sum(sum(bucket.counts) for bucket in store.histogram(query({"user": "nobody"})).buckets) == 0
    assert user.get("/api-requests/histogram?fragment=1&from=2299-01-01").status_code == 200
    answer = user.get("/api-requests/histogram?fragment=1&status_code=x")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/api-requests?status_code=x"


# Facets


@pytest.mark.parametrize("few", [0, facets.FEW_ROWS])
@pytest.mark.parametrize("args", FILTERS)
def test_facets_count_the_most_frequent_values(
    store: Store, args: dict[str, str], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facets, "FEW_ROWS", few)
    asked = query(args)
    rows = rows_of(store, asked)
    found = store.facets(asked)
    assert (found.rows, found.bounded) == (len(rows), False)
    assert [facet.column.name for facet in found.facets] == list(facets.FACETS["api-requests"])
    for facet in found.facets:
        counted = Counter(str(row[facet.column.name]) for row in rows)
        assert [value.count for value in facet.values] == [n for _, n in counted.most_common(facets.MOST_VALUES)]
        assert all(counted[value.text] == value.count for value in facet.values), facet
        assert facet.more == (len(counted) > facets.MOST_VALUES)


def test_admin_facets_count_each_changed_field(store: Store) -> None:
    asked = query({}, ADMIN_CHANGES)
    rows = rows_of(store, asked)
    found = {facet.column.name: facet for facet in store.facets(asked).facets}
    fields = Counter(name for row in rows for name in row["changed_fields"])
    assert {value.text: value.count for value in found["changed_fields"].values}.items() <= fields.items()
    assert [value.count for value in found["changed_fields"].values] == [n for _, n in fields.most_common(10)]
    assert {value.text: value.count for value in found["action"].values} == Counter(row["action"] for row in rows)


@pytest.mark.parametrize("report", [API_REQUESTS, ADMIN_CHANGES])
def test_every_value_can_be_asked_for_whatever_it_holds(store: Store, report: Report) -> None:
    hostile = {"q": "window.hacked"} if report is API_REQUESTS else {"-user": "ignacio"}
    asked = query(hostile, report)
    for facet in store.facets(asked).facets:
        for value in facet.values:
            if value.parameter is None:
                assert len(value.text) > 2000
                continue
            only = query(hostile | {facet.column.name: value.parameter}, report)
            assert store.page(only).total == value.count, (facet.column.name, value.text[:40])


def test_facets_say_when_they_looked_at_the_newest_rows_alone(
    user: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    filtered = "/api-requests/facets?-user=nobody&-host=nothing&fragment=1"
    assert "filas más recientes" not in user.get(filtered).text
    monkeypatch.setattr(facets, "MOST_ROWS", 1000)
    monkeypatch.setattr(facets, "FEW_ROWS", 0)
    # Without filters all rows are counted, however many there are.
    assert "filas más recientes" not in user.get("/api-requests/facets?fragment=1").text
    text = text_of(user.get(filtered).text)
    assert "Contado sobre las 1.000 filas más recientes del resultado." in text


def test_facets_include_and_exclude_by_links(user: FlaskClient) -> None:
    page = user.get("/api-requests/facets?user=crm-a&page=3&fragment=1").text
    assert 'href="/api-requests?user=crm-a&amp;method=GET"' in page
    assert 'href="/api-requests?user=crm-a&amp;-method=GET"' in page
    # What is included already is left again.
    assert re.search(r'<li class="is-active">.*?href="/api-requests" title="Quitar este filtro"', page, re.DOTALL)
    text = text_of(user.get("/api-requests/facets").text)
    assert "Facetas" in text
    assert "crm-b" in text


def test_too_slow_a_summary_says_so_and_the_page_does_not_wait(
    user: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histogram, "SECONDS", 0.000_001)
    fragment = user.get("/api-requests/histogram?fragment=1&q=abc")
    assert fragment.status_code == 200
    assert "La consulta tardó demasiado" in text_of(fragment.text)
    assert user.get("/api-requests/histogram?q=abc").status_code == 504
    assert user.get("/api-requests?q=pim0042").status_code == 200


@pytest.mark.parametrize("path", ["/api-requests", "/admin-changes", "/api-requests?user=nobody"])
def test_reports_say_how_far_their_data_goes(user: FlaskClient, path: str) -> None:
    text = text_of(user.get(path).text)
    assert re.search(r"Datos hasta 22/11/2026 09:55:36 hace .* En espera en Kafka 3 eventos Mensajes fallidos 5 ", text)
    assert "no en marcha" not in text


def test_reports_say_when_the_worker_is_down(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with sites.site(clickhouse, tmp_path_factory.mktemp("down"), filled=False) as made:
        text = text_of(made.user().get("/admin-changes").text)
        assert "Datos hasta – ningún evento todavía" in text
        assert "Proceso de carga parado Kafka parado" in text


def test_summaries_need_a_login(site: Site) -> None:
    for path in ("/api-requests/histogram", "/admin-changes/facets?fragment=1"):
        assert site.visitor().get(path).status_code == 302
