"""Each view of the dashboard reads what was made for it: an index, a projection, the table's order."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import clickhouse_connect
import pyarrow as pa
import pytest
from werkzeug.datastructures import MultiDict

from consumers import tables
from consumers.database import Database, stored
from dashboard import counting, facets, history, integrations, paging, rankings, trends
from dashboard.clickhouse import AHEAD, ClickHouse, QueryTooSlow
from dashboard.columns import API_REQUESTS
from dashboard.filters import Query, parse
from dashboard.store import Store
from schemas.migrations import apply
from schemas.settings import Settings

UTC = ZoneInfo("UTC")
MONTH = {"from": "2026-03-01", "to": "2026-04-01"}
ROWS = 200_000
#: Months that the rows are spread over.
PARTS = 6
#: So many of the first rows have one of a hundred words that `needle` is a part of.
NEEDLES = 10_000
BY = ("action", "endpoint", "host", "object_type", "status", "user", "view")


class Explained(ClickHouse):
    """A connection that also keeps the plan and the limits of each query."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.plans: list[str] = []
        self.limits: list[Mapping[str, Any]] = []

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None, **limits: Any) -> Any:
        self.limits.append(limits)
        plan = super().query(f"EXPLAIN indexes = 1, projections = 1 {sql}", parameters, **limits)
        self.plans.append("\n".join(row[0].decode() for row in plan))
        return super().query(sql, parameters, **limits)


@pytest.fixture(scope="module")
def settings(clickhouse: str) -> Iterator[Settings]:
    """A database with requests spread over half a year."""
    name = "explained"
    client = clickhouse_connect.get_client(dsn=clickhouse, autogenerate_session_id=False)
    client.command(f"DROP DATABASE IF EXISTS {name} SYNC")
    apply(client, name)
    client.command(
        "INSERT INTO api_requests (event_id, requested_at, user, route, method, status_code, object_type, object_id, "
        "path, request_id, response_ms, data, user_agent, kafka_offset) SELECT generateUUIDv4(number), "
        f"toDateTime64('2026-01-01', 3, 'UTC') + toIntervalSecond(intDiv(number * 15500000, {ROWS})), "
        "'crm-' || toString(number % 50), '/api/v2/isp/cpes/{id}/', ['GET', 'PATCH'][number % 2 + 1], "
        "[200, 404, 500][number % 3 + 1], 'cpe', toString(number), '/api/v2/isp/cpes/' || toString(number) || '/', "
        "'r' || toString(number), number % 900 + if(number % 20000 = 1, 1000, 0), "
        "'{\"name\": \"pim' || leftPad(toString(number), 6, '0') || '\", \"olt\": ' || toString(intDiv(number, 400)) "
        "|| '}', "
        f"if(number < {NEEDLES}, 'xneedle' || toString(number % 100) || 'x', ''), number "
        f"FROM numbers({ROWS})",
        settings={"async_insert": 0},
    )
    client.command("OPTIMIZE TABLE api_requests FINAL")  # projections are made when parts are merged
    client.command(
        "INSERT INTO admin_changes (event_id, changed_at, action, object_type, object_id, kafka_offset) SELECT "
        "generateUUIDv4(number), toDateTime64('2026-01-01', 3, 'UTC') + toIntervalMinute(number), 'change', 'cpe', "
        "toString(number), number FROM numbers(100000)",
        settings={"async_insert": 0},
    )
    yield Settings(clickhouse_url=clickhouse, clickhouse_database=name)
    client.command(f"DROP DATABASE {name} SYNC")
    client.close()


def plans(settings: Settings, ask: Callable[[Store], Any]) -> list[str]:
    """The plans of all queries of a view."""
    store, connection = Store(settings), Explained(settings)
    store._clickhouse = connection
    ask(store)
    return connection.plans


def query(**args: str) -> Query:
    return parse(MultiDict({name.rstrip("_"): value for name, value in args.items()}), API_REQUESTS, UTC)


def granules(plan: str, index: str) -> tuple[int, int]:
    """How many granules are left behind an index, and how many there were before any."""
    found = re.findall(r"Granules: (\d+)/(\d+)", plan)
    behind = re.search(rf"(?:Name: )?{index}\n.*?Granules: (\d+)/", plan, re.DOTALL)
    assert behind, plan
    return int(behind[1]), max(int(before) for _, before in found)


def trend(**args: str) -> Callable[[Store], Any]:
    return lambda store: store.trends(trends.parse(MultiDict(MONTH | args), UTC))


def ranking(**args: str) -> Callable[[Store], Any]:
    return lambda store: store.ranking(rankings.parse(MultiDict(MONTH | args), UTC))


@pytest.mark.parametrize(
    ("ask", "projections"),
    [
        (lambda store: store.count(query(**MONTH), 5), {"per_hour"}),
        (lambda store: store.count(query(user="crm-1", **MONTH), 5), {"per_hour_by_user"}),
        (lambda store: store.count(query(status_code=">=500"), 5), {"per_hour_by_status"}),
        (lambda store: store.count(query(route="/api/*"), 5), {"per_hour_by_endpoint"}),
        (lambda store: store.count(query(user="crm-1", status_code=">=400"), 5), {"per_hour_by_user"}),
        (lambda store: store.count(query(action="list", status_code=">=400"), 5), {"per_hour_by_action"}),
        (lambda store: store.histogram(query(**MONTH)), {"per_hour"}),
        (lambda store: store.histogram(query(view="Cpes", **MONTH)), {"per_hour_by_view"}),
        (lambda store: store.histogram(query(route="/api/*", method="GET", **MONTH)), {"per_hour_by_endpoint"}),
        (lambda store: store.histogram(query(user="crm-1", **MONTH)), {"per_hour_by_user"}),
        (lambda store: store.histogram(query(user="crm-1", status_code=">=400", **MONTH)), {"per_hour_by_user"}),
        (
            lambda store: store.facets(query(**MONTH)),
            {f"per_hour_by_{name}" for name in BY},
        ),
        (trend(interval="hour"), {"per_hour"}),
        (trend(interval="day", by="host"), {"per_hour_by_host"}),
        (trend(interval="day", by="user"), {"per_hour_by_user"}),
        (trend(interval="day", by="route", method="GET"), {"per_hour_by_endpoint"}),
        (trend(interval="day", by="route", host="krill.example"), set()),
        (trend(interval="day", by="user", status_code=">=400"), set()),
        (ranking(table="endpoints"), {"per_hour_by_endpoint"}),
        (ranking(table="users", compare="previous"), {"per_hour_by_user"}),
        (ranking(table="endpoints", user="crm-1"), set()),
        (trend(interval="day", status_code=">=400"), {"per_hour_by_status"}),
    ],
)  # fmt: skip
def test_long_ranges_are_read_from_projections(
    settings: Settings, ask: Callable[[Store], Any], projections: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facets, "FEW_ROWS", 0)
    found = {name for plan in plans(settings, ask) for name in re.findall(r"\((per_hour\w*)\)", plan)}
    assert found >= projections, plans(settings, ask)
    assert bool(found) == bool(projections)


def test_facets_of_few_rows_look_at_them_once(settings: Settings) -> None:
    count, plan = plans(settings, lambda store: store.facets(query(**MONTH)))
    assert "(per_hour)" in count
    assert plan.count("ReadFromMergeTree") == 1
    left, before = granules(plan, "PrimaryKey")
    assert left < before / PARTS * 1.5


@pytest.mark.parametrize("args", [{}, {"user": "crm-1"}])
def test_what_is_left_of_the_hours_at_both_ends_is_read_at_once(settings: Settings, args: dict[str, str]) -> None:
    ends = {"from": "2026-03-01T10:17", "to": "2026-04-01T15:42:10"}
    [plan] = plans(settings, lambda store: store.count(query(**ends, **args), 5))
    whole, rest = plan.split("ReadFromMergeTree")[1:]
    assert "(per_hour" in whole
    assert "(per_hour" not in rest
    assert granules(rest, "PrimaryKey")[0] <= 2


@pytest.mark.parametrize(
    ("ask", "questions"),
    [
        (ranking(table="endpoints", to="2026-03-08"), 1),
        (lambda store: store.slowest(query(**MONTH)), 3),
    ],
)
def test_what_is_computed_from_the_rows_reads_those_of_its_range(
    settings: Settings, ask: Callable[[Store], Any], questions: int
) -> None:
    found = plans(settings, ask)
    assert len(found) == questions
    for plan in found:
        left, before = granules(plan, "PrimaryKey")
        assert left < before / PARTS * 1.5, plan


def test_a_users_page_reads_their_requests_together(settings: Settings) -> None:
    found = plans(settings, lambda store: store.integration(integrations.parse(MultiDict(MONTH), "crm-7", UTC)))
    failures, runs, events, addresses = found
    for plan in (failures, runs, addresses, *plans(settings, ranking(table="endpoints", user="crm-1"))):
        assert "(by_user)" in plan
        left, _ = granules(plan, "PrimaryKey")
        assert left <= PARTS
    left, before = granules(events, "PrimaryKey")
    assert left < before / PARTS * 1.5


def test_a_users_slowest_are_found_in_their_requests_and_read_alone(settings: Settings) -> None:
    slowest = query(user="crm-7", sort="-response_ms", per_page="3")
    *_, item = Store(settings).page(slowest).items
    page = plans(settings, lambda store: store.page(slowest))[:2]
    beside = plans(settings, lambda store: store.neighbours(slowest, item))
    for times, rows in (page, beside[:2], beside[2:]):
        assert "(by_user)" in times
        left, before = granules(rows, "PrimaryKey")
        assert left <= 3 < before


@pytest.mark.parametrize(
    ("sort", "projections"),
    [
        ("-status_code", {"per_hour_by_status"}),
        ("method", {"per_hour_by_endpoint"}),
        ("user", {"per_hour_by_user"}),
    ],
)
def test_a_list_by_few_values_reads_hours_and_its_page_alone(
    settings: Settings, sort: str, projections: set[str]
) -> None:
    asked = query(sort=sort, per_page="3")
    *_, item = Store(settings).page(asked).items
    values, by_hour, times, rows, *_ = plans(settings, lambda store: store.page(asked))
    assert {name for plan in (values, by_hour) for name in re.findall(r"\((per_hour\w*)\)", plan)} == projections
    beside = plans(settings, lambda store: store.neighbours(asked, item))
    for plan in (times, rows, *beside):
        left, before = granules(plan, "PrimaryKey")
        assert left <= 5 < before / 10


@pytest.mark.parametrize("args", [{"sort": "-response_ms"}, {"response_ms": ">=1000"}])
def test_the_slowest_are_found_by_an_index(settings: Settings, args: dict[str, str]) -> None:
    times, *_ = plans(settings, lambda store: store.page(query(per_page="3", **args)))
    left, before = granules(times, "response_ms_index")
    assert left <= 10 < before / 5


def test_what_is_slow_reads_the_sizes_of_payloads_alone(settings: Settings) -> None:
    *_, plan = plans(settings, lambda store: store.slowest(query(**MONTH)))
    found = re.search(r"ReadFromMergeTree.*?Output: ([^\n]*)", plan, re.DOTALL)
    assert found, plan
    read = set(found[1].split(", "))
    assert read > {"data.size", "response.size"}
    assert not read & {"data", "response"}


def test_suggestions_are_read_from_hours(settings: Settings) -> None:
    [plan] = plans(settings, lambda store: store.values(API_REQUESTS, "user", "crm", 10))
    assert "(per_hour_by_user)" in plan


def test_minutes_are_read_from_the_requests_of_their_range(settings: Settings) -> None:
    [plan] = plans(settings, trend(interval="minute", to="2026-03-02"))
    left, before = granules(plan, "PrimaryKey")
    assert left <= 2 < before


def test_a_deep_page_reads_the_hours_that_it_lies_in(settings: Settings) -> None:
    found = plans(settings, lambda store: store.page(query(page="1500")))
    page = next(plan for plan in found if "Limit" in plan)
    left, before = granules(page, "PrimaryKey")
    assert left <= 2 < before


def test_a_page_of_a_users_requests_reads_their_hours(settings: Settings) -> None:
    found = plans(settings, lambda store: store.page(query(user="crm-7", page="2")))
    page = next(plan for plan in found if "Limit" in plan)
    left, before = granules(page, "PrimaryKey")
    assert left < before


@pytest.mark.parametrize(
    ("args", "index"),
    [
        ({"q": "pim012345"}, "plain_words"),
        ({"q": 'name": "pim012345'}, "plain_words"),
        ({"q": "zzzzzz"}, "plain_words"),
        ({"q": "wan 12"}, "plain_words"),
        ({"q": "+34 965 123 456"}, "plain_words"),
        ({"q": "10.1.17.2"}, "<Combined skip indexes>"),
        ({"q": "A4:BA:76:01:02:03"}, "<Combined skip indexes>"),
        ({"q": "http://10.1.17.2:8080/"}, "mixed_words"),
        ({"q": "10.1.17."}, "<Combined skip indexes>"),
        ({"q": "BA:76:01"}, "<Combined skip indexes>"),
        ({"q": ":76:01:02:03"}, "<Combined skip indexes>"),
        ({"q": "Agüero"}, "mixed_words"),
        ({"q": "Sr. MUÑOZ"}, "mixed_words"),
        ({"field.name": "pim012345"}, "plain_words"),
        ({"field.name": "pim01234*"}, "plain_words"),
        ({"field.name": "+34965123456"}, "<Combined skip indexes>"),
        ({"field.name": "Zoë Agüe*o"}, "<Combined skip indexes>"),
        ({"field.name": "Zoë Agüero"}, "fields"),
        ({"path": "*/12345/"}, "<Combined skip indexes>"),
        ({"path": "*/777/", "user": "crm-27"}, "plain_words"),
        ({"request_id": "r777"}, "request_id_index"),
        ({"event_id": "00000000-0000-4000-8000-000000000000"}, "event_id_index"),
        ({"kafka_offset": "777"}, "kafka_offset_index"),
    ],
)
def test_a_rare_value_is_found_by_its_index(settings: Settings, args: dict[str, str], index: str) -> None:
    [plan] = plans(settings, lambda store: store.count(query(**args), 5))
    left, before = granules(plan, index)
    assert left <= before / 4


def test_a_field_is_counted_and_found_by_its_index_alone(settings: Settings) -> None:
    asked = query(**{"field.olt": "77"})
    [count] = plans(settings, lambda store: store.count(asked, 5))
    assert "Trivial count from text index (fields" in count
    _, page, *_ = plans(settings, lambda store: store.page(asked))
    left, before = granules(page, "fields")
    assert left <= 1 < before
    assert "data" not in page


def test_a_part_of_very_many_words_is_found_by_their_index(settings: Settings) -> None:
    [plan] = plans(settings, lambda store: store.count(query(q="needle"), 5))
    left, _ = granules(plan, "plain_words")
    assert left <= -(-NEEDLES // 2048)


@pytest.mark.parametrize(
    ("args", "projection"),
    [
        ({"path": "/api/v2/isp/cpes/777/"}, "by_path"),
        ({"path": "/api/v2/isp/cpes/777/*"}, "by_path"),
        ({"object_id": "777"}, "by_object"),
        ({"object_id": "777", "object_type": "cpe", "method": "PATCH"}, "by_object"),
    ],
)
def test_rows_by_path_and_by_object_are_found_in_a_projection(
    settings: Settings, args: dict[str, str], projection: str
) -> None:
    [count] = plans(settings, lambda store: store.count(query(**args), 5))
    page = plans(settings, lambda store: store.page(query(**args)))
    times = next(plan for plan in page if f"({projection})" in plan)
    for plan in (count, times):
        assert f"({projection})" in plan
        left, before = granules(plan, "PrimaryKey")
        assert left <= 2 * PARTS < before, plan
    # At last only what has those times.
    left, before = granules(page[-1], "PrimaryKey")
    assert left <= 1 < before


@pytest.mark.parametrize("searched", ["q", "field.name"])
def test_a_page_of_a_text_reads_the_newest_rows_and_then_what_the_index_finds(
    settings: Settings, searched: str
) -> None:
    found = plans(settings, lambda store: store.page(query(**{searched: "pim012345"})))
    assert [("plain_words" in plan) for plan in found] == [False, True, False]
    left, before = granules(found[-1], "PrimaryKey")
    assert left <= 1 < before
    common = plans(settings, lambda store: store.page(query(**{searched: "pim" if searched == "q" else "pim*"})))
    assert not any("plain_words" in plan for plan in common[:2])


def test_all_indexes_are_asked_first_only_for_what_few_rows_and_no_id_may_have(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if none of the newest rows had it.
    monkeypatch.setattr(paging, "FIRST_ROWS", 0)
    for text, first in (("pim012345", True), ("424212", True), ("42421", False), ("42421a", False)):
        connection = Explained(settings)
        paging.window(connection, query(q=text))
        assert (connection.limits[-1].items() >= AHEAD.items()) == first, text


@pytest.mark.parametrize(("text", "asked", "rows"), [("pim", False, ROWS // 900), ("zzqq", True, 0)])
def test_a_short_text_that_most_rows_have_is_looked_for_in_those_that_the_filter_leaves(
    settings: Settings, text: str, asked: bool, rows: int
) -> None:
    wanted = query(response_ms="899", q=text, per_page="500")
    assert any("plain_words" in plan for plan in plans(settings, lambda store: store.page(wanted))) == asked
    assert Store(settings).page(wanted).total == rows


def test_its_index_is_asked_where_hardly_any_row_has_both(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = Explained.query
    refused = []

    def query_in_time(self: Explained, sql: str, *args: Any, **limits: Any) -> Any:
        if limits.get("max_execution_time") == paging.COMMON_SECONDS:
            refused.append(sql)
            raise QueryTooSlow("too slow")
        return ask(self, sql, *args, **limits)

    monkeypatch.setattr(Explained, "query", query_in_time)
    connection = Explained(settings)
    found = paging.window(connection, query(response_ms="899", q="pim", per_page="500"))
    assert len(refused) == 1
    assert "plain_words" in connection.plans[-1]
    assert found.total == len(found.times) == ROWS // 900


def test_only_a_count_that_a_list_waits_for_is_given_up_where_it_would_take_long(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than it takes on a busy machine.
    in_time = counting.IN_TIME | {"max_estimated_execution_time": 60}
    monkeypatch.setattr(counting, "IN_TIME", in_time)
    connection = Explained(settings)
    wanted = query(**{"field.name": "pim*"})
    assert counting.at_once(connection, wanted, 60) == counting.Count(ROWS)
    assert connection.limits[-1].items() >= in_time.items()
    assert counting.read(connection, wanted, 60) == counting.Count(ROWS)
    assert not connection.limits[-1].keys() & in_time.keys()


def test_the_rows_beside_a_row_are_looked_for_near_it(settings: Settings) -> None:
    [item] = Store(settings).page(query(per_page="1", page="50000")).items
    for plan in plans(settings, lambda store: store.neighbours(query(), item)):
        left, before = granules(plan, "PrimaryKey")
        assert left <= 1 < before


def test_a_row_and_its_object(settings: Settings) -> None:
    [plan] = plans(settings, lambda store: store.row(API_REQUESTS, "00000000-0000-4000-8000-000000000000"))
    left, before = granules(plan, "event_id_index")
    assert left < before / 4
    [item] = Store(settings).page(query(request_id="r777")).items
    [plan] = plans(settings, lambda store: store.related(API_REQUESTS, [item]))
    assert "request_id_index" in plan
    asked = history.parse(MultiDict(), "cpe", "777", UTC)
    overview, *others = plans(settings, lambda store: store.history(asked))
    assert overview.count("(by_object)") == 2
    assert "request_id_index" in others[-1]
    entries = [plan for plan in others if "PrimaryKey" in plan and "requested_at" in plan and "(by_object)" not in plan]
    left, before = granules(entries[0], "PrimaryKey")
    assert left <= 1 < before


def test_an_insert_looks_for_its_rows_near_their_times_only(settings: Settings) -> None:
    january = int(dt.datetime(2026, 1, 2, tzinfo=dt.UTC).timestamp() * 1000)
    columns = pa.table(
        {
            "requested_at": pa.array([january, january + 120 * 86_400_000], pa.timestamp("ms", "UTC")),
            "kafka_topic_id": [bytes(16)] * 2,
            "kafka_partition": [0] * 2,
            "kafka_offset": [0, ROWS],  # so that offsets leave none out
        }
    )
    plan = Database(settings).rows(f"EXPLAIN indexes = 1 {stored(tables.API_REQUESTS, columns)}")
    behind, before = granules("\n".join(row[0] for row in plan), "PrimaryKey")
    assert behind == 2 < before / 10


def test_the_end_of_a_partitions_rows_is_looked_for_behind_an_offset_only(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    rows = Database.rows

    def explained(database: Database, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        asked.extend(row[0] for row in rows(database, f"EXPLAIN indexes = 1 {sql}", **parameters))
        return rows(database, sql, **parameters)

    monkeypatch.setattr(Database, "rows", explained)
    assert Database(settings).stored_from(tables.API_REQUESTS, str(UUID(int=0)), 0, ROWS - 100) == (100, ROWS)
    left, before = granules("\n".join(asked), "kafka_offset_index")
    assert left <= 1 < before
