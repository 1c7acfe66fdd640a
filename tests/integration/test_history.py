"""What happened to an object, as a timeline; and how a row leads to others and to other programs."""

from __future__ import annotations

import datetime as dt
import json
import random
import re
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

import jsonschema
import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from dashboard import curl, history, openapi
from dashboard.columns import ADMIN_CHANGES, API_REQUESTS, Report
from dashboard.filters import FilterErrors, parse
from dashboard.rows import Item
from dashboard.store import Store
from dashboard.views.objects import path_to
from tests import site as sites
from tests.integration import report_data
from tests.site import Site, text_of

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0"
CAUSE, CAUSED, LAST = (uuid.UUID(int=2**80 + number) for number in range(3))
AT = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
#: An object id of every kind of trouble that a path can carry.
ODD = "a/b c%2F?x#y&é\u202e<b>'\"{{ 7 * 7 }}"


def change(number: int, **values: Any) -> dict[str, Any]:
    return {
        "event_id": uuid.UUID(int=2**70 + number),
        "changed_at": AT,
        "user": "ignacio",
        "action": "change",
        "app_label": "isp",
        "model": "cpe",
        "object_type": "cpe",
        "object_id": "h1",
        "object_repr": "pim0001",
        "change_message": "",
        "changed_fields": ["postalcode"],
        "changes": json.dumps([{"field": "postalcode", "old": "1504", "new": "1505"}]),
        "request_id": "",
        "masked": [],
    } | values


def request(number: int, **values: Any) -> dict[str, Any]:
    return {
        "event_id": uuid.UUID(int=2**71 + number),
        "requested_at": AT,
        "user": "crm-norte",
        "method": "PATCH",
        "path": "/api/v2/isp/cpes/h1/",
        "object_type": "cpe",
        "object_id": "h1",
        "host": "krill.example",
        "status_code": 200,
        "response_ms": 12.5,
        "query_params": "",
        "data": "",
        "user_agent": "crm/1.0",
        "request_id": "",
    } | values


def rows() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Changes and requests: of `h1` many with equal times, of others one kind each."""
    chance = random.Random(11)
    second = dt.timedelta(seconds=1)
    changes = [
        change(number, event_id=uuid.UUID(int=chance.getrandbits(128)), changed_at=AT + second * (number // 8))
        for number in range(60)
    ]
    requests = [
        request(
            number,
            event_id=uuid.UUID(int=chance.getrandbits(128)),
            requested_at=AT + second * (number // 12),
            method=("PATCH", "GET", "OPTIONS", "POST", "HEAD", "DELETE")[number % 6],
        )
        for number in range(120)
    ]
    changes += [
        change(100, object_id="linked", event_id=CAUSED, request_id="req-7", user="crm-norte"),
        change(101, object_id="linked", changed_at=AT + second, user=""),
        change(102, object_id="linked", changed_at=AT + 2 * second, event_id=LAST, action="deletion", object_repr=""),
        change(103, object_id="linked", changed_at=AT + dt.timedelta(days=9), object_type="other", request_id="req-7"),
        change(110, object_id=ODD, object_repr=sites.SCRIPT, user=sites.BIDI),
    ]
    requests += [
        request(200, object_id="linked", requested_at=AT - second, event_id=CAUSE, request_id="req-7"),
        request(201, object_id="linked", requested_at=AT - 2 * second, user="soporte", user_agent=BROWSER),
    ]
    return changes, requests


CHANGES, REQUESTS = rows()


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made:
        report_data.insert(made.client, "admin_changes", CHANGES)
        report_data.insert(made.client, "api_requests", REQUESTS)
        yield made


@pytest.fixture
def user(site: Site) -> FlaskClient:
    return site.user()


@pytest.fixture
def store(site: Site) -> Store:
    return Store(site.settings)


def told(user: FlaskClient, path: str, language: str = "es") -> str:
    sites.post(user, "/language", {"language": language})
    answer = user.get(path)
    assert answer.status_code == 200
    return text_of(answer.text)


# The timeline


@pytest.mark.parametrize("per_page", [7, 200])
@pytest.mark.parametrize(
    ("more", "since", "until"),
    [
        ({}, None, None),
        ({"reads": "1"}, None, None),
        ({"from": "2026-11-20T10:00:02Z", "to": "2026-11-20T10:00:05Z"}, 2, 5),
    ],
)
def test_pages_hold_every_entry_once_and_newest_first(
    store: Store, per_page: int, more: dict[str, str], since: int | None, until: int | None
) -> None:
    wanted = {}
    for kind, column, all_rows in (("c", "changed_at", CHANGES), ("r", "requested_at", REQUESTS)):
        for row in all_rows:
            seconds = (row[column] - AT).total_seconds()
            reading = row.get("method") in ("GET", "HEAD", "OPTIONS") and "reads" not in more
            if row["object_id"] == "h1" and not reading and (since is None or since <= seconds < (until or 0)):
                wanted[kind + str(row["event_id"])] = row[column]
    found: dict[str, dt.datetime] = {}
    before = None
    while True:
        args = MultiDict({**more, "per_page": str(per_page), **({"before": before} if before else {})})
        page = store.history(history.parse(args, "cpe", "h1", ZoneInfo("UTC")))
        assert page.total == len(wanted)
        for item in page.items:
            key = ("c" if item["report"] == "admin-changes" else "r") + item["event_id"]
            assert key not in found
            found[key] = item["at"]
        assert len(page.items) == per_page or page.next is None
        if page.next is None:
            break
        before = page.next
    assert found == wanted
    assert list(found.values()) == sorted(wanted.values(), reverse=True)


def test_before_a_plain_time(store: Store) -> None:
    page = store.history(history.parse(MultiDict({"before": "2026-11-20T10:00:01Z"}), "cpe", "h1", ZoneInfo("UTC")))
    assert {item["at"] for item in page.items} == {AT}
    assert page.next is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"before": "yesterday"},
        {"before": "2026-11-20,notauuid"},
        {"reads": "yes"},
        {"per_page": "201"},
        {"per_page": "0"},
        {"user": "ana"},
        {"from": "2026-11-21", "to": "2026-11-20"},
        {"tz": "Mars"},
    ],
)
def test_what_cannot_be_understood_is_refused(user: FlaskClient, wrong: dict[str, str]) -> None:
    with pytest.raises(FilterErrors):
        history.parse(MultiDict(wrong), "cpe", "h1", ZoneInfo("UTC"))
    answer = user.get("/api/v1/objects/cpe/h1/history", query_string=wrong)
    assert answer.status_code == 400
    assert answer.get_json()["errors"][0]["parameter"] in (*wrong, "to")
    page = user.get("/objects/cpe/h1", query_string=wrong)
    assert page.status_code == 400
    assert "no se puede usar aquí" in page.text


def test_who_did_it_and_what_it_is_called(store: Store) -> None:
    page = store.history(history.parse(MultiDict(), "cpe", "linked", ZoneInfo("UTC")))
    assert [(item["actor"], item["linked"]) for item in page.items] == [
        ("human", []),
        ("process", []),
        ("integration", [str(CAUSE)]),
        ("integration", [str(CAUSED)]),
        ("human", []),
    ]
    assert page.name == "pim0001"
    assert page.deleted_at == AT + dt.timedelta(seconds=2)
    nothing = store.history(history.parse(MultiDict(), "cpe", "nobody", ZoneInfo("UTC")))
    assert (nothing.items, nothing.total, nothing.name, nothing.deleted_at) == ([], 0, "", None)


def test_the_page_tells_it(user: FlaskClient) -> None:
    text = told(user, "/objects/cpe/linked")
    assert "CPE pim0001 Borrado el 20/11/2026 11:00" in text
    assert "5 entradas encontradas en" in text
    assert "ignacio borró el CPE linked" in text
    assert "Un proceso cambió el código postal del CPE pim0001 de 1504 a 1505" in text
    assert "Persona" in text
    assert "Integración" in text
    assert "Proceso" in text
    english = told(user, "/objects/cpe/linked", "en")
    assert "ignacio deleted the CPE linked" in english
    assert "A process changed the postal code of the CPE pim0001 from 1504 to 1505" in english
    told(user, "/", "es")


def test_the_form_leads_to_a_plain_url_and_pages_to_each_other(user: FlaskClient) -> None:
    answer = user.get("/objects/cpe/h1?form=1&from=&to=2026-11-21T00:00&reads=1")
    assert answer.location == "/objects/cpe/h1?to=2026-11-21T00:00:00%2B01:00&reads=1"
    page = user.get(answer.location).text
    older = page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    assert older.startswith("/objects/cpe/h1?to=2026-11-21T00:00:00%2B01:00&reads=1&before=2026-11-20T10:00:")
    assert 'rel="first"' in user.get(older).text
    assert "Aquí no se sabe nada" in told(user, "/objects/cpe/nobody")


def test_an_object_of_any_name_has_a_page_that_its_rows_link(user: FlaskClient) -> None:
    path = path_to("cpe", ODD)
    assert path
    page = user.get(f"/admin-changes/{uuid.UUID(int=2**70 + 110)}").text
    assert f'href="{path}"' in page.replace("&#39;", "'").replace("&amp;", "&")
    answer = user.get(path)
    assert answer.status_code == 200
    assert sites.SCRIPT not in answer.text
    assert "\u202e" not in answer.text
    assert "1 entrada encontrada" in text_of(answer.text)
    assert unquote(path) == f"/objects/cpe/{ODD}"
    for object_type, object_id in (
        ("", "1"),
        ("cpe", ""),
        ("a/b", "1"),
        ("cpe", "../x"),
        ("cpe", "."),
        ("cpe", "a\nb"),
    ):
        assert path_to(object_type, object_id) is None
    hostile = user.get(path_to(sites.SCRIPT.replace("/", ""), sites.ATTRIBUTE) or "")
    assert hostile.status_code == 200
    assert "<img" not in hostile.text


def test_only_users_see_it(site: Site) -> None:
    assert site.visitor().get("/objects/cpe/h1").status_code == 302
    assert site.visitor().get("/api/v1/objects/cpe/h1/history").status_code == 401


@pytest.mark.parametrize("path", ["cpe/h1", "cpe/linked", "cpe/nobody", f"cpe/{quote(ODD)}"])
def test_the_api_answers_as_described(user: FlaskClient, path: str) -> None:
    document = openapi.document()
    described = document["paths"]["/objects/{object_type}/{object_id}/history"]["get"]
    schema = described["responses"]["200"]["content"]["application/json"]["schema"]
    answer = user.get(f"/api/v1/objects/{path}/history?reads=1").get_json()
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(answer)
    assert answer["total"] == {"cpe/h1": 180, "cpe/linked": 5, "cpe/nobody": 0}.get(path, 1)


def test_large_changes_are_told_by_their_fields(site: Site, user: FlaskClient, store: Store) -> None:
    large = json.dumps([{"field": "notes", "old": "x" * 50_000, "new": "y"}])
    report_data.insert(
        site.client, "admin_changes", [change(500, object_id="large", changes=large, changed_fields=["notes"])]
    )
    page = store.history(history.parse(MultiDict(), "cpe", "large", ZoneInfo("UTC")))
    assert page.items[0]["changes"] is None
    assert "ignacio cambió las notas del CPE pim0001" in told(user, "/objects/cpe/large")


def test_a_stamp_of_the_time_is_not_told_beside_what_changed(site: Site, user: FlaskClient) -> None:
    stamp = {"field": "updated", "old": "2026-11-20T10:00:00Z", "new": "2026-11-20T10:01:00Z"}
    code = {"field": "postalcode", "old": "1504", "new": "1505"}
    for number, changes in ((501, [code, stamp]), (502, [stamp])):
        row = change(number, object_id=f"stamped{number}", changes=json.dumps(changes))
        report_data.insert(site.client, "admin_changes", [row])
    assert "ignacio cambió el código postal del CPE pim0001 de 1504 a 1505" in told(user, "/objects/cpe/stamped501")
    assert "ignacio cambió updated del CPE pim0001 de 2026-11-20T10:00:00Z a" in told(user, "/objects/cpe/stamped502")


# A row's page


def test_a_request_and_its_change_name_each_other(user: FlaskClient) -> None:
    for path in (
        f"/api-requests/{CAUSE}",
        f"/api-requests/{CAUSE}?fragment=1",
        f"/api-requests?object_id=linked&open={CAUSE}",
    ):
        page = user.get(path).text
        assert "Cambios que causó" in page
        assert "crm-norte cambió el código postal del CPE pim0001 de 1504 a 1505" in text_of(page)
        assert f'href="/admin-changes/{CAUSED}"' in page
        assert 'href="/objects/cpe/linked"' in page
    for path in (f"/admin-changes/{CAUSED}", f"/admin-changes/{CAUSED}?fragment=1"):
        page = user.get(path).text
        assert "Petición que lo causó" in page
        assert f'href="/api-requests/{CAUSE}"' in page
    assert "Petición que lo causó" not in user.get(f"/admin-changes/{LAST}").text


def test_a_change_is_a_sentence(user: FlaskClient) -> None:
    for path in (f"/admin-changes/{sites.CHANGE_ID}", f"/admin-changes/{sites.CHANGE_ID}?fragment=1"):
        assert (
            "ignacio cambió 3 campos del CPE pim0585: el código postal de 1504 a 1505, "
            "la contraseña del wifi, el indicador de activo de (vacío) a true"
        ) in told(user, path)
        assert (
            "ignacio changed 3 fields of the CPE pim0585: the postal code from 1504 to 1505, "
            "the Wi-Fi password, the active flag from (empty) to true"
        ) in told(user, path, "en")
    told(user, "/", "es")
    page = user.get(f"/admin-changes/{sites.HOSTILE_CHANGE_ID}").text
    assert sites.SCRIPT not in page
    assert "<img" not in page
    assert "\u202e" not in page


@pytest.mark.parametrize(
    ("report", "args"),
    [
        (ADMIN_CHANGES, {"user": "soporte"}),
        (ADMIN_CHANGES, {"user": "soporte", "sort": "changed_at"}),
        (ADMIN_CHANGES, {"sort": "object_id"}),
        (API_REQUESTS, {"status_code": "500", "sort": "-response_ms"}),
        (API_REQUESTS, {"method": "PATCH", "sort": "user", "from": "2026-10-24"}),
        (API_REQUESTS, {"sort": "remote_addr", "status_code": "404"}),
        (API_REQUESTS, {"sort": "path", "to": "2026-10-25"}),
        (API_REQUESTS, {"sort": "kafka_offset"}),
        (API_REQUESTS, {"method": "PATCH"}),
    ],
)
def test_neighbours_are_those_of_the_list(store: Store, report: Report, args: dict[str, str]) -> None:
    query = parse(MultiDict(args), report, ZoneInfo("UTC"))
    listed = store.page(query).items
    ids = [item["event_id"] for item in listed]
    assert len(ids) == 100
    for place in [0, 1, 2, *range(3, 97, 12), 97, 98]:
        before, behind = store.neighbours(query, listed[place])
        # The same event may be stored twice; then the list holds it twice.
        if ids.count(ids[place]) == 1:
            assert before == (ids[place - 1] if place else None)
            assert behind == ids[place + 1]


def test_a_row_keeps_the_list_that_it_came_from(user: FlaskClient) -> None:
    listed = user.get("/admin-changes?user=soporte&sort=changed_at").text
    first, second = re.findall(r'class="toggle"[^>]*data-id="([^"]+)"', listed)[:2]
    assert f'data-fragment="/admin-changes/{first}?user=soporte&amp;sort=changed_at&amp;fragment=1"' in listed
    own = f"/admin-changes/{first}?user=soporte&sort=changed_at"
    assert own.replace("&", "&amp;") in user.get(f"{own}&fragment=1").text
    page = user.get(own).text
    assert f'data-key="j" href="/admin-changes/{second}?user=soporte&amp;sort=changed_at"' in page
    assert 'data-key="k"' not in page
    assert 'href="/admin-changes?user=soporte&amp;sort=changed_at"' in page
    assert user.get(f"/admin-changes/{first}?nonsense=1").location == f"/admin-changes/{first}"


# For other programs


def words(command: str) -> list[str]:
    """What a shell makes of the command."""
    script = "curl() { printf '%s\\0' \"$@\"; }\n" + command
    output = subprocess.run(["bash", "-c", script], capture_output=True, check=True, timeout=10).stdout
    return output.decode().split("\0")[:-1]


@pytest.mark.parametrize("text", [*report_data.HOSTILE, "\x1b[201~\nid\n"])
def test_curl_is_one_command_whatever_was_stored(text: str) -> None:
    item: Item = request(1, data=json.dumps({text: text}), path=f"/{text}", method=text or "GET", host=f"h{text}")
    item["data"] = text
    command = curl.command(item)
    assert all(char.isprintable() or char == "\n" for char in command)
    found = words(command)
    assert found[found.index("--data-raw") + 1] == text
    assert found[found.index("--request") + 1] == text
    assert [word for word in found if word.startswith("Authorization")] == ["Authorization: Token TOKEN"]


def test_curl_asks_for_the_same(user: FlaskClient) -> None:
    item = request(1, method="GET", query_params=json.dumps({"a": ["1", "2"], "q": "x y"}), host="localhost:4280")
    assert words(curl.command(item))[2] == "http://localhost:4280/api/v2/isp/cpes/h1/?a=1&a=2&q=x+y"
    assert "--request" not in curl.command(item)
    text = user.get(f"/api-requests/{CAUSE}/curl.txt").text
    assert "--request PATCH" in text
    assert "https://krill.example/api/v2/isp/cpes/h1/" in text
    stored = user.get(f"/api-requests/{sites.PATCH_ID}.json")
    assert stored.get_json()["query_params"] == {"postalcode": "1505"}
    for path in (f"/admin-changes/{CAUSED}/curl.txt", f"/api-requests/{uuid.UUID(int=9**9)}/curl.txt"):
        assert user.get(path).status_code == 404
