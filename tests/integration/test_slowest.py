"""What makes the slow ones slow: the same shares as counted by hand, and nothing where there is nothing to say."""

from __future__ import annotations

import datetime as dt
import html
import json
import random
import re
import uuid
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from dashboard import slowest
from dashboard.clickhouse import ClickHouse
from dashboard.columns import API_REQUESTS
from dashboard.filters import Query, parse
from dashboard.slowest import Standout
from dashboard.store import Store
from tests import site as sites
from tests.integration import report_data
from tests.site import Site, text_of

MADRID = ZoneInfo("Europe/Madrid")
DAY = dt.datetime(2026, 11, 10, tzinfo=dt.UTC)
RANGE = {"from": "2026-11-10", "to": "2026-11-12"}
Row = dict[str, Any]


def made() -> list[Row]:
    """Requests of which those of crm-slow, those with large bodies, and those at four in the morning take longer."""
    chance = random.Random(3)
    rows = []
    for number in range(6000):
        at = DAY + dt.timedelta(seconds=chance.randrange(86400))
        slow_user, large = chance.random() < 0.015, chance.random() < 0.015
        early = at.astimezone(MADRID).hour == 4 and chance.random() < 0.3
        rows.append(
            {
                "event_id": uuid.UUID(int=2**80 + number),
                "requested_at": at,
                "user": "crm-slow/*" if slow_user else chance.choice(["crm-a", "crm-b"]),
                "method": chance.choice(["GET", "PATCH"]),
                "route": chance.choice(["/a/", "/b/", sites.SCRIPT]),
                "host": "krill.example",
                "view": "webapp.Cpe",
                "view_method": "list",
                "status_code": chance.choice([200, 200, 404]),
                "object_type": "cpe",
                "object_id": str(number % 500) if not large else "7",
                "data": json.dumps({"x": "y" * 20_000}) if large else "",
                "response": json.dumps({"n": number}),
                "response_ms": round(chance.expovariate(1 / 40) + 900 * slow_user + 700 * large + 800 * early, 3),
                "kafka_offset": 50_000 + number,
            }
        )
    return rows


ROWS = made()


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site")) as site:
        report_data.insert(site.client, "api_requests", ROWS)
        yield site


@pytest.fixture
def store(site: Site) -> Store:
    return site.app.extensions["krill_logger"].store  # type: ignore[no-any-return]


@pytest.fixture
def user(site: Site) -> FlaskClient:
    return site.user()


def query(args: dict[str, str]) -> Query:
    return parse(MultiDict(args), API_REQUESTS, MADRID)


def value_of(row: Row, dimension: str) -> str:
    match dimension:
        case "hour":
            return str(row["requested_at"].astimezone(MADRID).hour)
        case "object":
            return f"{row['object_type']}/{row['object_id']}"
        case "view":
            return f"{row['view']}.{row['view_method']}"
        case "data" | "response":
            size = len(row[dimension])
            return str(next((place for place, limit in enumerate(slowest.SIZES, 1) if size <= limit), 0))
    return str(row[dimension])


def counted(slow: list[Row], others: list[Row]) -> dict[tuple[str, str], tuple[int, int]]:
    """Every value that has the evidence, with how many of the slow ones and of the others have it."""
    found = {}
    for name in slowest.DIMENSIONS:
        for value in {value_of(row, name) for row in slow}:
            counts = [sum(value_of(row, name) == value for row in rows) for rows in (slow, others)]
            if counts[0] >= slowest.LEAST_COUNT:
                score = slowest.score(counts[0], len(slow), counts[1], len(others))
                if score >= slowest.LEAST_SCORE:
                    found[name, value] = (counts[0], counts[1])
    return found


@pytest.mark.parametrize("slow", [None, ">=500", "700..1000"])
def test_what_stands_out_is_what_counting_gives(store: Store, slow: str | None) -> None:
    times = sorted(row["response_ms"] for row in ROWS)
    limit = times[int(0.95 * len(times))]
    tests = {None: lambda ms: ms > limit, ">=500": lambda ms: ms >= 500, "700..1000": lambda ms: 700 <= ms <= 1000}
    chosen = [row for row in ROWS if tests[slow](row["response_ms"])]
    others = [row for row in ROWS if not tests[slow](row["response_ms"])]
    found = store.slowest(query(RANGE), slow)
    assert (found.rows, found.slow, found.bounded) == (len(ROWS), len(chosen), False)
    assert found.limit == (limit if slow is None else None)
    assert found.fast_p50 == sorted(row["response_ms"] for row in others)[len(others) // 2]
    wanted = counted(chosen, others)
    assert {(one.dimension, one.value): (one.slow, one.others) for one in found.standouts} == wanted
    assert {("user", "crm-slow/*"), ("data", "4"), ("object", "cpe/7"), ("hour", "4")} <= wanted.keys()
    differences = [one.slow_share - one.other_share for one in found.standouts]
    assert differences == sorted(differences, reverse=True)
    for one in found.standouts:
        assert one.slow_share == one.slow / len(chosen)
        assert one.lift is None or one.lift == pytest.approx(one.slow / len(chosen) / (one.others / len(others)))


def test_rows_that_arrive_meanwhile_change_no_share(store: Store, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    day = {"from": "2026-12-01", "to": "2026-12-02"}

    def arrive(first: int, count: int) -> None:
        rows = [
            {
                "event_id": uuid.UUID(int=2**81 + number),
                "requested_at": dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC),
                "user": "crm-slow" if number % 4 == 0 else "crm-a",
                "host": "krill.example",
                "response_ms": 900.0 if number % 4 == 0 else 20.0,
                "kafka_offset": 70_000 + number,
            }
            for number in range(first, first + count)
        ]
        report_data.insert(site.client, "api_requests", rows)

    arrive(0, 400)
    ask = ClickHouse.query
    arrived = iter(range(400, 10_000, 40))

    def query_then_arrive(self: ClickHouse, *args: Any, **options: Any) -> Any:
        answer = ask(self, *args, **options)
        arrive(next(arrived), 40)
        return answer

    monkeypatch.setattr(ClickHouse, "query", query_then_arrive)
    found = store.slowest(query(day), ">=500")
    # Asked thrice, and what it is compared with is as large as at the third time.
    assert [(one.value, one.slow, one.slow_share, one.others) for one in found.standouts] == [("crm-slow", 120, 1.0, 0)]


def test_its_links_lead_to_exactly_these_rows(store: Store) -> None:
    found = store.slowest(query(RANGE))
    linked = [one for one in found.standouts if one.filters]
    assert {one.dimension for one in linked} >= {"user", "object"}
    for one in linked:
        assert store.page(query({**RANGE, **dict(one.filters), "response_ms": f">{found.limit}"})).total == one.slow


def test_chance_alone_stands_out_never(store: Store) -> None:
    # The site's own rows: nothing but chance makes them slow.
    found = store.slowest(query({"from": "2026-10-24", "to": "2026-10-27"}))
    assert found.slow > 100
    assert found.standouts == []


@pytest.mark.parametrize("args", [{"user": "nobody"}, {**RANGE, "response_ms": "<0"}])
def test_nothing_to_compare(store: Store, args: dict[str, str]) -> None:
    found = store.slowest(query(args))
    assert (found.rows, found.slow, found.standouts) == (0, 0, [])
    everything = store.slowest(query(RANGE), ">=0")
    assert (everything.slow, everything.fast_p50, everything.standouts) == (len(ROWS), None, [])


def test_only_the_newest_rows_are_looked_at_and_it_is_said(
    store: Store, user: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slowest, "MOST_ROWS", 1000)
    newest = sorted(ROWS, key=lambda row: row["requested_at"], reverse=True)[:1000]
    found = store.slowest(query(RANGE), ">=500")
    assert (found.rows, found.bounded) == (1000, True)
    assert abs(found.slow - sum(row["response_ms"] >= 500 for row in newest)) <= 1  # two rows may share an instant
    said = text_of(user.get("/api-requests/slowest?from=2026-11-10&to=2026-11-12").text)
    assert "Solo se han mirado las 1.000 peticiones más recientes." in said


def test_the_page_tells_and_links_it(user: FlaskClient) -> None:
    page = user.get("/api-requests/slowest?from=2026-11-10&to=2026-11-12&sort=-user&page=2").text
    text = text_of(page)
    assert re.search(r"Las \d+ más lentas de 6\.000 peticiones tardaron más de [\d,.]+ ms \(el percentil 95\)", text)
    assert "Usuario crm-slow/*" in text
    assert re.search(r"Hora del día 04:00–05:00 [\d,]+ % [\d,]+ % [\d,]+ ×", text)
    assert "Tamaño de la petición hasta 100 KiB" in text
    target = re.search(r'<th scope="row"><a href="([^"]*user=crm-slow[^"]*)"', page)
    assert target
    assert "crm-slow/*" in user.get(html.unescape(target[1])).text
    assert "<html" not in user.get("/api-requests/slowest?from=2026-11-10&to=2026-11-12&fragment=1").text
    assert 'href="/api-requests/slowest?from=2026-11-10"' in user.get("/api-requests?from=2026-11-10").text


def test_a_wrong_range_of_duration_is_said_beside_its_field(user: FlaskClient) -> None:
    answer = user.get("/api-requests/slowest?slow=fast")
    assert answer.status_code == 400
    assert "«fast» no se puede usar aquí: se espera un número" in text_of(answer.text)
    assert user.get("/api-requests/slowest?form=1&slow=&user=crm-a").location == "/api-requests/slowest?user=crm-a"
    assert user.get("/api-requests/slowest?status_code=x").location == "/api-requests?status_code=x"


def test_no_evidence_no_standout() -> None:
    for slow, others in ((9, 0), (10, 2000)):
        assert slowest._standout("user", b"x", slow, others, 100, 4000) is None
    found = slowest._standout("user", b"a*b", 50, 0, 100, 4000)
    assert found == Standout("user", "a*b", 50, 0, 0.5, 0.0, (("user", "a\\*b"),))
    assert found.lift is None
