"""The search bar over real data: it and the parameters give the same rows, on the page and in the API."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from flask.testing import FlaskClient

from dashboard import filters, search
from tests import site as sites
from tests.integration import report_data
from tests.site import Site, text_of

#: Values of payload fields, hostile and odd, each with the text that asks for it.
FIELDS = [
    {"postalcode": "15051", "note": 'say "hi"'},
    {"deep": [{"er": {"postalcode": 15052}}], "note": "a\\b"},
    {"text": '{"postalcode": "15053"}', "ok": True, "none": None},
    {"città": "Gijón 🎉", "price": "12.50"},
    {"price": 99, "x*y": "star*"},
]


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made:
        row = report_data.api_requests()[0]
        rows = [
            row | {"user": f"field-{number}", "request_id": "fields", "data": "", "response": "", column: dump(fields)}
            for number, (fields, column, dump) in enumerate(
                (fields, column, dump)
                for fields in FIELDS
                for column in ("data", "query_params", "response")
                for dump in (json.dumps, compact)
            )
        ]
        report_data.insert(made.client, "api_requests", rows)
        yield made


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@pytest.fixture
def user(site: Site) -> FlaskClient:
    return site.user()


def location(user: FlaskClient, text: str, path: str = "/api-requests", more: str = "") -> str:
    answer = user.get(f"{path}?search={quote(text)}{more}")
    assert answer.status_code == 302, text_of(answer.text)[:800]
    return answer.location


def bar_of(page: str) -> str:
    found = re.search(r'<input type="search" name="search"[^>]* value="([^"]*)"', page)
    assert found
    return html.unescape(found[1])


def rows_of(site: Site, sql: str) -> set[str]:
    return {str(row[0]) for row in site.client.query(sql).result_rows}


def api_rows(user: FlaskClient, query: str, report: str = "api-requests") -> set[str]:
    answer = user.get(f"/api/v1/{report}?{query}&per_page=1000")
    assert answer.status_code == 200, answer.text
    assert answer.json
    assert answer.json["total"] == len(answer.json["items"])
    return {item["event_id"] for item in answer.json["items"]}


@pytest.mark.parametrize(
    ("text", "query", "report"),
    [
        ("user:crm-a status:>=500 -method:GET", "user=crm-a&status_code=>%3D500&-method=GET", "api-requests"),
        ("usuario:crm-* estado:4xx método:patch", "user=crm-*&status_code=400..499&method=PATCH", "api-requests"),
        ("path:/api/v2/isp/cpes/* ip:10.1.0.0/16 duration:>0.2s", None, "api-requests"),
        ('fecha:2026-10-24..2026-10-25 "No encontrado"', None, "api-requests"),
        ("cpename:pim00* -status:5xx pim wifi_password", None, "api-requests"),
        ("postalcode:15005 acción:change campo:postalcode", None, "admin-changes"),
        ("objeto:pim00* tipo:cpe -usuario:soporte", None, "admin-changes"),
    ],
)
def test_the_bar_its_url_and_the_api_give_the_same_rows(
    site: Site, user: FlaskClient, text: str, query: str | None, report: str
) -> None:
    target = location(user, text, f"/{report}")
    asked = urlsplit(target).query
    if query:
        assert asked == query.replace(">%3D", "%3E%3D")
    page = user.get(target).text
    found = re.search(r"de ([\d.]+) elementos", text_of(page))
    assert found, text_of(page)[:800]
    answer = user.get(f"/api/v1/{report}?{asked}&per_page=1")
    assert answer.json
    assert 0 < answer.json["total"] == int(found[1].replace(".", ""))
    # What the bar says of this page leads to it again.
    assert location(user, bar_of(page), f"/{report}") == target


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postalcode:15051", [0]),
        ("postalcode:15052", [1]),
        ("postalcode:1505*", [0, 1]),
        ("postalcode:*", [0, 1]),
        # Within a string it is no field.
        ("postalcode:15053", []),
        ("postalcode:5051", []),
        ('note:"say ""hi"""', [0]),
        (r"note:a\\b", [1]),
        ("er:*", [1]),
        ("ok:true", [2]),
        ("none:null", [2]),
        ('none:""', [2]),
        ('"città":"Gijón 🎉"', [3]),
        ("città:Gij*", [3]),
        ("price:>12", [3, 4]),
        ("price:12..13", [3]),
        ("price:<=99 -price:12.50", [3, 4]),
        ("-price:*", [0, 1, 2]),
        (r"x:1", []),
        (r'"x*y":star\*', [4]),
        ("ostalcode:15051", []),
        ("POSTALCODE:15051", []),
    ],
)
def test_fields_of_payloads_at_any_depth_in_whatever_spelling(
    site: Site, user: FlaskClient, text: str, expected: list[int]
) -> None:
    answer = user.get(f"/api/v1/{location(user, f'request:fields {text}').lstrip('/')}&per_page=1000")
    assert answer.json
    # Each of the values stands in three columns, written in two ways.
    found = sorted(int(item["user"].removeprefix("field-")) // 6 for item in answer.json["items"])
    wanted = expected if text != "price:<=99 -price:12.50" else [4]
    assert found == sorted(wanted * 6)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("postalcode:15005", "has(changed_fields, 'postalcode') AND changes LIKE '%15005%'"),
        ("postalcode:1504", f"event_id = '{sites.CHANGE_ID}'"),
        ("active:true", f"event_id = '{sites.CHANGE_ID}'"),
        ('active:""', f"event_id = '{sites.CHANGE_ID}'"),
        ("postalcode:<1600", f"event_id = '{sites.CHANGE_ID}'"),
        ("postalcode:*", "has(changed_fields, 'postalcode')"),
        ("postalcode:field", "0"),
        ("-wifi_password:*", "NOT has(changed_fields, 'wifi_password')"),
    ],
)
def test_on_admin_changes_a_field_is_one_that_changed(site: Site, user: FlaskClient, text: str, condition: str) -> None:
    rows = api_rows(user, urlsplit(location(user, text, "/admin-changes")).query, "admin-changes")
    assert rows == rows_of(site, f"SELECT event_id FROM admin_changes WHERE {condition}")


def test_hostile_names_and_values_are_only_text(site: Site, user: FlaskClient) -> None:
    for number, text in enumerate(report_data.HOSTILE):
        if any(char < " " or char == "\x7f" for char in text) or len(text) > 100:
            # No parameter can have such a name.
            continue
        asked = urlsplit(location(user, f"{search.quoted(text)}:{search.quoted(filters.exact(text))}")).query
        found = user.get(f"/api/v1/api-requests?{asked}").json
        assert found
        assert [item["request_id"] for item in found["items"]] == [f"r{report_data.COUNT + number}"], text


def test_several_texts_must_all_be_there_and_excluded_ones_nowhere(site: Site, user: FlaskClient) -> None:
    both = "data LIKE '%pim0042%' AND method = 'PATCH'"
    assert api_rows(user, "q=pim0042&q=PATCH") == rows_of(site, f"SELECT event_id FROM api_requests WHERE {both}")
    without = "data LIKE '%pim0042%' AND method != 'PATCH'"
    assert api_rows(user, "q=pim0042&-q=PATCH") == rows_of(site, f"SELECT event_id FROM api_requests WHERE {without}")


def test_where_nothing_has_a_number_a_link_looks_for_it_in_the_ids_of_requests(site: Site, user: FlaskClient) -> None:
    row = report_data.api_requests()[0] | {"user": "by-id", "request_id": "4f00a987650321aa4f00a987650321aa"}
    report_data.insert(site.client, "api_requests", [row])
    page = user.get("/api-requests?user=by-id&q=98765032").text
    assert "Nada coincide con estos filtros" in page
    found = re.search(r'href="([^"]*)">Buscar 98765032 en los identificadores de peticiones<', page)
    assert found
    target = html.unescape(found[1])
    assert target == "/api-requests?user=by-id&request_id=*98765032*"
    assert "4f00a987650321aa4f00a987650321aa" in user.get(target + "&columns=request_id").text
    assert "identificadores de peticiones" not in user.get("/api-requests?user=nobody&q=pim98765032").text


def test_the_bar_replaces_the_filters_and_leaves_the_rest(user: FlaskClient) -> None:
    page = user.get("/api-requests?user=crm-a&sort=-response_ms&per_page=50&q=pim&page=2").text
    assert bar_of(page) == "usuario:crm-a pim"
    form = page[page.index('class="search"') : page.index('name="search"')]
    assert dict(re.findall(r'name="(\w+)" value="([^"]*)"', form)) == {"sort": "-response_ms", "per_page": "50"}
    more = "&sort=-response_ms&per_page=50"
    assert location(user, " método:patch  ", more=more) == f"/api-requests?method=PATCH{more}"
    assert location(user, "", more=more) == f"/api-requests?{more[1:]}"


@pytest.mark.parametrize(
    ("text", "said", "marked"),
    [
        ("usuario:x estdo:500", "Aquí no hay «estdo:». ¿Querías decir «estado:»?", "estdo:"),
        ("a status:abc b", "«abc» no se puede usar aquí: se espera un número entero", "abc"),
        ('x user:"crm', "Falta la comilla de cierre", 'user:"crm'),
        ("fecha:<b>", "«<b>» no se puede usar aquí: se espera una fecha como ayer, lunes", "<b>"),
        ("duración:2lunas", "«2lunas» no se puede usar aquí: se espera un número de ms", "2lunas"),
    ],
)
def test_errors_stand_beside_the_bar_with_its_text(user: FlaskClient, text: str, said: str, marked: str) -> None:
    answer = user.get(f"/api-requests?search={quote(text)}&sort=user")
    assert answer.status_code == 400
    assert said in text_of(answer.text)
    assert bar_of(answer.text) == text
    assert f"<mark>{html.escape(marked, quote=False)}</mark>" in answer.text.replace("&#34;", '"')
    assert 'aria-invalid="true"' in answer.text
    assert "<table" not in answer.text
    if better := re.search(r'class="field-error".*?<a href="([^"]+)"><bdi>([^<]+)<', answer.text):
        assert better[2] == "usuario:x estado:500"
        assert user.get(html.unescape(better[1])).location == "/api-requests?user=x&status_code=500&sort=user"


def test_a_wrong_url_keeps_its_text_in_the_bar(user: FlaskClient) -> None:
    answer = user.get("/api-requests?status_code=abc&user=x&foo=1")
    assert answer.status_code == 400
    assert bar_of(answer.text) == "estado:abc usuario:x"


def complete(user: FlaskClient, text: str, at: int | None = None, report: str = "api-requests") -> Any:
    place = "" if at is None else f"&at={at}"
    return user.get(f"/{report}/complete?text={quote(text)}{place}").json


def test_names_and_values_are_completed(site: Site, user: FlaskClient) -> None:
    def words(text: str, at: int | None = None, report: str = "api-requests") -> list[str]:
        return [item["text"] for item in complete(user, text, at, report)["items"]]

    assert words("")[:3] == ["usuario:", "estado:", "fecha:"]
    assert "estado:" in words("est")
    assert words("stat") == ["estado:"]
    assert words("x -meth") == ["-método:"]
    found = complete(user, "x usuario:crm y", 13)
    assert (found["start"], found["end"]) == (2, 13)
    assert {item["text"] for item in found["items"]} == {
        f"usuario:{name}" for name in ("crm-a", "crm-b", "CRM_A", "crm-norte")
    }
    assert found["said"] == "4 sugerencias"
    assert "método:PATCH" in words("método:p")
    assert "estado:5xx" in words("status:5") or "status:5xx" in words("status:5")
    assert 'fecha:"últimos 15 min"' in words('fecha:"últ')
    assert "campo:postalcode" in words("campo:pos", report="admin-changes")
    assert words("postalcode:15") == words("user:>") == words("x", 999999999) == []
    # Bounded, and values as they must be written.
    assert len(words("user:")) <= 12
    assert any(word.startswith('user:"') for word in words("user:' or \"") + words('user:"<script'))
    english = site.visitor("en")
    sites.post(english, "/login", {"name": sites.USER, "password": sites.PASSWORD}, page="/login")
    assert [item["text"] for item in complete(english, "usuar")["items"]] == ["user:"]


def test_completion_needs_a_user(site: Site) -> None:
    assert site.visitor().get("/api-requests/complete?text=user:").status_code == 302
