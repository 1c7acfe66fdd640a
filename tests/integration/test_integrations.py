"""The users of the API: their failures, runs and addresses, compared with the rows; whatever they are called."""

from __future__ import annotations

import datetime as dt
import html
import json
import random
import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

import jsonschema
import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from dashboard import integrations, openapi
from dashboard.filters import FilterErrors
from dashboard.integrations import path_to, user_of
from dashboard.store import Store
from tests import site as sites
from tests.integration import report_data
from tests.site import Site, text_of

MADRID = ZoneInfo("Europe/Madrid")
DAY = dt.datetime(2026, 11, 12, 8, tzinfo=dt.UTC)
RANGE = {"from": "2026-11-12", "to": "2026-11-14"}
USER = "crm/ñandú #1"
NAMES = (
    *("crm-a", USER, "a//b", "/a", "a/", ".", "..", "a/../b", "~", "~x", "%2F", "%252F", "a?b=c#d", " ", ""),
    *(sites.SCRIPT, sites.ATTRIBUTE, sites.BIDI, "'; DROP TABLE api_requests --", "x" * 2000, "\u202e"),
    *("a;b", "a\\b", "a\r\nb"),
)
Row = dict[str, Any]

ERRORS = (
    (
        500,
        "Traceback (most recent call last):\n  File \"v.py\", line {n}\nkrill.OltError: no OLT '{n}' at 10.0.0.{b}\n",
        "",
    ),
    (500, "Traceback (most recent call last):\n  x\nValueError: {n}\nDETAIL:  Key (id)=({n})\n", ""),
    (400, "", '{{"postalcode": ["{n} no es válido para \\"{n}\\""]}}'),
    (404, "", '{{"detail": "No encontrado"}}'),
    (502, "", "<h1>Bad gateway {n}</h1>\nmore {n}"),
    (409, 'cpe "pim{n}" belongs to ana{n}@example.com', ""),
)
#: What differs from one failure to the next, in the order in which it is replaced.
REPLACED = (
    (r"\\\"[^\"\\\n]*\\\"", r"“…”"),
    (r"“[^”\n]*”|«[^»\n]*»", r"“…”"),
    (r"(^|[^A-Za-z0-9_])'[^'\n]*'", r"\1“…”"),
    (r"[^\s\"'<>(),:;]+@[^\s\"'<>(),:;]+", "#"),
    (r"(?:[0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f]{1,4}", "#"),
    (r"[A-Za-z0-9_.-]*[0-9][A-Za-z0-9_.-]*", "#"),
)
KINDS = {
    (500, "krill.OltError: no OLT “…” at #"),
    (500, "ValueError: #"),
    (400, '{"postalcode": ["# no es válido para “…”"]}'),
    (404, '{"detail": "No encontrado"}'),
    (502, "<#>Bad gateway #</#>"),
    (409, "cpe “…” belongs to #"),
}


def made() -> list[Row]:
    """Three runs of the user with a pause of two minutes or more between them, lone requests, and other users."""
    chance = random.Random(5)
    rows: list[Row] = []

    def add(at: dt.datetime, user: str, **values: Any) -> None:
        number = len(rows)
        rows.append(
            {
                "event_id": uuid.UUID(int=2**90 + chance.getrandbits(60)),
                "requested_at": at,
                "user": user,
                "remote_addr": f"10.0.0.{number % 3}" if number % 7 else "::",
                "method": "POST",
                "route": "/api/v2/isp/cpes/",
                "host": "krill.example",
                "status_code": 200,
                "data": json.dumps({"number": number}),
                "response": "{}",
                "errors": "",
                "response_ms": round(chance.expovariate(1 / 50), 3),
                "kafka_offset": 70_000 + number,
            }
            | values
        )

    at = DAY
    for size in (400, 90, 15):
        for _ in range(size):
            at += dt.timedelta(milliseconds=chance.randrange(1, 59_000))
            if chance.random() < 0.3:
                status, errors, response = chance.choice(ERRORS)
                texts = [text.format(n=chance.randrange(10**6), b=chance.randrange(255)) for text in (errors, response)]
                add(at, USER, status_code=status, errors=texts[0], response=texts[1])
            else:
                add(at, USER)
        at += dt.timedelta(minutes=2, seconds=chance.randrange(3600))
    for hours in (20, 22):
        add(DAY + dt.timedelta(hours=hours), USER)
    for number, name in enumerate(NAMES):
        add(DAY + dt.timedelta(seconds=number), name, status_code=500, response='{"detail": "x"}')
    return rows


ROWS = made()
MINE = sorted((row for row in ROWS if row["user"] == USER), key=lambda row: row["requested_at"])


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site"), filled=False) as site:
        report_data.insert(site.client, "api_requests", ROWS)
        yield site


@pytest.fixture
def store(site: Site) -> Store:
    return site.app.extensions["krill_logger"].store  # type: ignore[no-any-return]


@pytest.fixture
def user(site: Site) -> FlaskClient:
    return site.user()


def asked(name: str = USER, **more: str) -> integrations.IntegrationQuery:
    return integrations.parse(MultiDict({**RANGE, **more}), name, MADRID)


def kind_of(row: Row) -> str:
    """The failure of a row, as plain Python makes it."""
    text = (row["errors"] or row["response"]).lstrip().split("\n")[0]
    if "Traceback (most recent call last)" in row["errors"]:
        text = re.findall(r"(?m)^([A-Za-z_][A-Za-z0-9_.]*[a-z][A-Za-z0-9_.]*(?::[^\n]*)?)$", row["errors"])[-1]
    if not text.startswith(("{", "[")):
        text = re.sub(r'"[^"\n]*"', "“…”", text)
    for pattern, replacement in REPLACED:
        text = re.sub(pattern, replacement, text)
    return text[:200]


def runs_of(rows: list[Row], gap: int) -> list[list[Row]]:
    runs: list[list[Row]] = []
    for row in rows:
        if runs and row["requested_at"] - runs[-1][-1]["requested_at"] <= dt.timedelta(seconds=gap):
            runs[-1].append(row)
        else:
            runs.append([row])
    return runs


def test_failures_are_grouped_by_status_endpoint_and_kind(store: Store) -> None:
    failed = [row for row in MINE if row["status_code"] >= 400]
    groups: dict[tuple[int, str], list[Row]] = {}
    for row in failed:
        groups.setdefault((row["status_code"], kind_of(row)), []).append(row)
    assert groups.keys() >= KINDS
    found = store.integration(asked())
    # All that was called the same in the test's data, and the one of the row that only names the user.
    assert {(item["status_code"], item["failure"]): item["count"] for item in found.failures} == {
        key: len(rows) for key, rows in groups.items()
    }
    counts = [item["count"] for item in found.failures]
    assert counts == sorted(counts, reverse=True)
    for item in found.failures:
        rows = groups[item["status_code"], item["failure"]]
        assert (item["first_at"], item["last_at"]) == (rows[0]["requested_at"], rows[-1]["requested_at"])
        assert (item["first_id"], item["last_id"]) == (str(rows[0]["event_id"]), str(rows[-1]["event_id"]))
        assert (item["first_data"], item["last_data"]) == (rows[0]["data"], rows[-1]["data"])
    assert not found.more_failures
    assert not found.failed_bounded


@pytest.mark.parametrize("gap", [10, 60, 3600])
def test_runs_are_requests_without_a_pause(store: Store, gap: int) -> None:
    runs = runs_of(MINE, gap)
    several = [run for run in runs if len(run) > 1][::-1]
    found = store.integration(asked(gap=str(gap)))
    assert found.alone == sum(len(run) == 1 for run in runs)
    assert found.more_runs == (len(several) > integrations.MOST_RUNS)
    assert len(found.runs) == min(len(several), integrations.MOST_RUNS)
    for item, run in zip(found.runs, several, strict=False):
        failed = [row for row in run if row["status_code"] >= 400]
        times = sorted(row["response_ms"] for row in run)
        assert (item["start"], item["end"]) == (run[0]["requested_at"], run[-1]["requested_at"])
        assert (item["count"], item["errors"]) == (len(run), len(failed))
        assert item["p95"] == (times[int(0.95 * len(run))] if len(run) >= 20 else None)
        assert item["first_failed_id"] == (str(failed[0]["event_id"]) if failed else None)
    if gap == 60:
        assert [item["count"] for item in found.runs] == [15, 90, 401]


def test_addresses_are_where_it_came_from(store: Store) -> None:
    groups: dict[str, list[Row]] = {}
    for row in MINE:
        groups.setdefault("" if row["remote_addr"] == "::" else row["remote_addr"], []).append(row)
    found = store.integration(asked())
    assert {item["remote_addr"]: item["count"] for item in found.addresses} == {
        address: len(rows) for address, rows in groups.items()
    }
    for item in found.addresses:
        rows = groups[item["remote_addr"]]
        assert (item["first_at"], item["last_at"]) == (rows[0]["requested_at"], rows[-1]["requested_at"])
        assert item["errors"] == sum(row["status_code"] >= 400 for row in rows)


def test_bounds_are_said(store: Store, user: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrations, "MOST_FAILED_ROWS", 20)
    monkeypatch.setattr(integrations, "MOST_RUN_ROWS", 10)
    found = store.integration(asked())
    assert (found.failed_bounded, found.runs_bounded) == (True, True)
    assert sum(item["count"] for item in found.failures) == 20
    text = text_of(user.get(f"{path_to(USER)}?from=2026-11-12&to=2026-11-14").text)
    assert "Solo se han mirado las peticiones fallidas más recientes." in text
    assert "Solo se han mirado las peticiones más recientes." in text


# Names and pages


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[:20])
def test_every_name_has_its_own_page(user: FlaskClient, name: str) -> None:
    path = path_to(name)
    assert path is not None
    assert user_of(unquote(path.removeprefix("/integrations/"))) == name
    # No browser changes the path on its way.
    assert not {".", "..", ""} & set(unquote(path).removeprefix("/integrations/").split("/"))
    answer = user.get(f"{path}?from=2026-11-12&to=2026-11-14")
    assert answer.status_code == 200
    count = sum(row["user"] == name for row in ROWS)
    assert f"Peticiones {count} Errores" in text_of(answer.text)
    assert "<script>window" not in answer.text
    assert "<img" not in answer.text
    target = re.search(r'href="(/api-requests\?user=[^"]*|/api-requests\?[^"]*user=[^"]*)"', answer.text)
    assert target
    assert user.get(html.unescape(target[1])).status_code == 200


@pytest.mark.parametrize("name", ["a\0b", "x" * 2001, "\ufffd"])
def test_names_that_no_url_can_hold_have_none(name: str) -> None:
    assert path_to(name) is None


def test_the_list_names_them_all_and_leads_to_them(user: FlaskClient) -> None:
    page = user.get("/integrations?from=2026-11-12&to=2026-11-14").text
    assert f"{len(set(NAMES))} usuarios de la API en este intervalo." in text_of(page)
    assert f'href="/integrations/{quote(USER)}"' in page
    assert "Tasa de errores" in text_of(page)
    assert 'aria-sort="descending"' in page
    by_name = user.get("/integrations?from=2026-11-12&to=2026-11-14&sort=name").text
    assert 'aria-sort="ascending"' in by_name
    assert 'href="/integrations"' in user.get("/").text
    row = MINE[0]["event_id"]
    assert f'href="/integrations/{quote(USER)}"' in user.get(f"/api-requests/{row}").text
    assert f'href="/integrations/{quote(USER)}"' in user.get(f"/api-requests/{row}?fragment=1").text


def test_a_page_tells_and_links_what_it_found(user: FlaskClient) -> None:
    page = user.get(f"{path_to(USER)}?from=2026-11-12&to=2026-11-14").text
    text = text_of(page)
    assert "krill.OltError: no OLT “…” at #" in text
    for item in (MINE[0], next(row for row in MINE if row["status_code"] >= 400)):
        local = item["requested_at"].astimezone(MADRID)
        assert f"{local:%d/%m/%Y %H:%M:%S}" in text
    assert "2 peticiones van sueltas." in text
    run = re.search(r'<th scope="row"><a href="(/api-requests\?[^"]+)"[^>]*><time[^>]*>[^<]*</time></a></th>', page)
    assert run
    assert "de 15 elementos" in text_of(user.get(html.unescape(run[1])).text)
    first = next(row for row in MINE if row["status_code"] >= 400)
    assert f'href="/api-requests/{first["event_id"]}"' in page


def test_times_are_those_of_the_zone(user: FlaskClient) -> None:
    first = MINE[0]["requested_at"].astimezone(ZoneInfo("Asia/Tokyo"))
    page = user.get(f"{path_to(USER)}?from=2026-11-12&to=2026-11-14&tz=Asia/Tokyo").text
    assert f"{first:%d/%m/%Y %H:%M:%S}" in text_of(page)


def test_empty_and_wrong(user: FlaskClient) -> None:
    nobody = user.get("/integrations/nobody?from=2026-11-12&to=2026-11-14")
    assert "No hay peticiones en este intervalo" in text_of(nobody.text)
    assert "No hay peticiones en este intervalo" in text_of(
        user.get("/integrations?from=2020-01-01&to=2020-01-02").text
    )
    for path, said in (
        ("/integrations/crm-a?gap=0", "«0» no se puede usar aquí: se espera segundos, de 1 a 86.400"),
        ("/integrations/crm-a?status_code=500", "«500» no se puede usar aquí"),
        ("/integrations?interval=day", "«day» no se puede usar aquí"),
        ("/integrations?sort=data", "«data» no se puede usar aquí"),
        ("/integrations?from=x", "«x» no se puede usar aquí"),
        (f"/integrations/{'x' * 2001}", "no se puede usar aquí"),
    ):
        answer = user.get(path)
        assert answer.status_code == 400, path
        assert said in text_of(answer.text), path
    with pytest.raises(FilterErrors):
        integrations.parse(MultiDict(), "a\0b", MADRID)
    assert user.get("/integrations?form=1&user=crm-*&compare=").location == "/integrations?user=crm-*"
    assert "from=" in user.get("/integrations/crm-a?range=24h").location


def test_a_page_behind_the_last_leads_to_the_first(user: FlaskClient) -> None:
    path = "/integrations?from=2026-11-12&to=2026-11-14"
    assert user.get(f"{path}&page=9").location == path


def test_only_users_may_see_them(site: Site) -> None:
    for path in ("/integrations", "/integrations/crm-a", "/api-requests/slowest"):
        assert site.visitor().get(path).status_code == 302
    assert site.visitor().get("/api/v1/integrations").status_code == 401


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/integrations?from=2026-11-12&to=2026-11-14&compare=week&per_page=3", "/integrations"),
        (f"{path_to(USER)}?from=2026-11-12&to=2026-11-14", "/integrations/{user}"),
        (f"{path_to('a//b')}?from=2026-11-12&to=2026-11-14", "/integrations/{user}"),
    ],
)
def test_the_api_answers_as_described(user: FlaskClient, path: str, template: str) -> None:
    document = openapi.document()
    content = document["paths"][template]["get"]["responses"]["200"]["content"]
    schema = {**content["application/json"]["schema"], "components": document["components"]}
    answer = user.get(f"/api/v1{path}").get_json()
    jsonschema.Draft202012Validator(schema).validate(answer)
    if "total" in answer:
        assert int(answer["total"]) == len(set(NAMES))
        assert len(answer["items"]) == 3
    else:
        assert answer["runs"] or answer["alone"]
    assert user.get("/api/v1/integrations/crm-a?gap=x").status_code == 400
