"""No user can take the database from the others; a list does not wait for its number of rows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import ANY
from zoneinfo import ZoneInfo

import pytest
from werkzeug.datastructures import MultiDict

from dashboard import counting
from dashboard.clickhouse import ClickHouse, QueryTooSlow, TooManyQueries, Turns
from dashboard.columns import API_REQUESTS
from dashboard.filters import Query, parse
from dashboard.store import Store
from schemas.settings import Settings
from tests import site as sites
from tests.site import Site, text_of

SLEEP = "SELECT sleepEachRow(1) FROM numbers(2) SETTINGS max_block_size = 1"


def query(**args: str) -> Query:
    return parse(MultiDict(args), API_REQUESTS, ZoneInfo("UTC"))


def test_a_users_queries_wait_for_each_other_and_not_for_others(filled: Settings) -> None:
    local = threading.local()
    clickhouse = ClickHouse(filled, Turns(1, 20, lambda: getattr(local, "name", "")))
    ended: list[str] = []

    def ask(name: str, sql: str) -> None:
        local.name = name
        try:
            clickhouse.query(sql)
            ended.append(name)
        except TooManyQueries:
            ended.append(f"{name} refused")

    started = []
    for name, sql in (("eager", SLEEP), ("eager", "SELECT 1"), ("eager", "SELECT 1"), ("other", "SELECT 1")):
        started.append(threading.Thread(target=ask, args=(name, sql)))
        started[-1].start()
        time.sleep(0.2)
    for thread in started:
        thread.join()
    # The second waits, and where one waits already, the third is refused; the other user notices nothing.
    assert ended.index("eager refused") < ended.index("eager")
    assert ended.index("other") < ended.index("eager")
    assert ended.count("eager") == 2


def test_one_waits_no_longer_than_allowed(filled: Settings) -> None:
    turns = Turns(1, 0.2, lambda: "eager")
    with turns.turn():
        entered = threading.Event()

        def second() -> None:
            with pytest.raises(TooManyQueries), turns.turn():
                pass
            entered.set()

        thread = threading.Thread(target=second)
        thread.start()
        assert entered.wait(5)
        thread.join()
    with turns.turn():
        pass


def test_what_takes_too_long_to_count_is_counted_in_part(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = query(q="/api/v2/", sort="user")
    store = Store(filled)
    exact = store.count(asked, 20)
    assert exact.rows > 1000
    assert not exact.more
    real = ClickHouse.query

    def slow(self: ClickHouse, sql: str, *args: object, **limits: float) -> object:
        if sql.startswith("SELECT count()") and f"LIMIT {counting.MOST + 1})" not in sql:
            raise QueryTooSlow("too slow")
        return real(self, sql, *args, **limits)  # type: ignore[arg-type]

    monkeypatch.setattr(ClickHouse, "query", slow)
    monkeypatch.setattr(counting, "MOST", 1000)
    assert store.count(asked, 1) == counting.Count(1000, more=True)
    monkeypatch.setattr(counting, "MOST", 100_000)
    assert store.count(asked, 1) == exact
    page = store.page(asked, count_seconds=0)
    assert (page.total, page.more) == (100, True)
    monkeypatch.setattr(counting, "_part", lambda *_: pytest.fail("A list waits for one count, not for a second one."))
    assert store.page(asked, count_seconds=1) == replace(page, seconds=ANY)
    monkeypatch.setattr(ClickHouse, "query", real)
    assert store.page(asked, count_seconds=20).total == exact.rows


def test_of_a_short_text_that_many_rows_have_not_all_are_counted(
    filled: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(filled)
    common, exact = query(q="pim0"), store.page(query(q="pim0")).total
    assert store.count(common, 5) == counting.Count(exact)
    monkeypatch.setattr(counting, "MOST_COMMON", 1000)
    assert store.count(common, 5) == counting.Count(1000, more=True)
    rare = query(q="pim0017")
    assert store.count(rare, 5) == counting.Count(store.page(rare).total)


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made:
        yield made


def test_the_number_of_rows_follows_the_list(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    user = site.user()
    monkeypatch.setattr("dashboard.views.reports.COUNT_SECONDS", 0)
    page = user.get("/api-requests?q=pim0").text
    assert "Mostrando del 1 al 100 de más elementos" in text_of(page)
    assert 'data-late="/api-requests/count?q=pim0&amp;fragment=1"' in page
    rows = [item for block in site.app.extensions["krill_logger"].store.stream(query()) for item in block]
    expected = sum(any("pim0" in str(value).lower() for value in row.values()) for row in rows)
    assert expected >= 3000
    told = text_of(user.get("/api-requests/count?q=pim0&fragment=1").text)
    assert told.strip() == f"Coinciden {expected:,} elementos.".replace(",", ".")
    assert "Coinciden" in text_of(user.get("/api-requests/count?q=pim0").text)
