"""What a user makes of a report: columns and their order, density, style of times, and saved views."""

from __future__ import annotations

import html
import re
import sqlite3
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask.testing import FlaskClient

from dashboard.accounts import AccountError, Accounts
from dashboard.saved import LONGEST_QUERY, MOST_VIEWS, SavedViews
from tests import site as sites
from tests.site import Site, csrf_token, text_of


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made:
        for name in ("bea", "carlos"):
            made.app.extensions["krill_logger"].accounts.create_user(name, sites.PASSWORD)
        yield made


@pytest.fixture
def user(site: Site) -> Iterator[FlaskClient]:
    yield site.user()
    with site.app.extensions["krill_logger"].accounts.connect() as db:
        for table in ("views", "default_views", "default_columns"):
            db.execute(f"DELETE FROM {table}")
        db.execute("UPDATE users SET density = 'comfortable', times = 'absolute'")


def send(client: FlaskClient, path: str, data: Any) -> Any:
    pairs = list(data.items()) if isinstance(data, dict) else data
    fields: dict[str, list[str]] = {}
    for name, value in [*pairs, ("csrf_token", csrf_token(client, "/account"))]:
        fields.setdefault(name, []).append(value)
    return client.post(path, data=fields)


def headings(page: str) -> list[str]:
    head = re.search(r"<thead.*?</thead>", page, re.DOTALL)
    assert head
    return [text_of(cell).strip() for cell in re.findall(r"<th.*?</th>", head[0], re.DOTALL)][1:]


# Columns, density, times


def test_columns_are_those_of_the_url_in_its_order(user: FlaskClient) -> None:
    page = user.get("/api-requests?columns=status_code,user,requested_at,data&user=crm-a").text
    assert headings(page) == ["Estado", "Usuario", "Fecha y hora", "Datos"]
    row = re.search(r'<tr role="row" id="r-.*?</tr>', page, re.DOTALL)
    assert row
    assert re.search(r"\d{3} crm-a 2\d/10/2026 .* \{\"cpename\": ", text_of(row[0]))
    assert "columns=status_code,user,requested_at,data" in page
    assert headings(user.get("/admin-changes").text)[-1] == "Campos modificados"


@pytest.mark.parametrize("report", ["api-requests", "admin-changes"])
def test_every_column_can_be_shown(user: FlaskClient, site: Site, report: str) -> None:
    from dashboard.columns import REPORTS

    [found] = [each for each in REPORTS if each.name == report]
    page = user.get(f"/{report}?columns={','.join(found.by_name)}&per_page=500")
    assert page.status_code == 200
    assert len(headings(page.text)) == len(found.columns)
    for hostile in (sites.SCRIPT, sites.ATTRIBUTE, "\u202e", "\x1b"):
        assert hostile not in page.text
    # Of a value of ten megabytes a list reads the beginning.
    assert len(page.text) < 8_000_000


@pytest.mark.parametrize(
    ("text", "value"),
    [("user,nothing,path", "nothing"), ("", ""), ("user,user", "user,user"), ("user;path", "user;path")],
)
def test_unknown_columns_are_named_with_those_that_there_are(user: FlaskClient, text: str, value: str) -> None:
    answer = user.get(f"/api/v1/api-requests?columns={text}")
    assert answer.status_code == 400
    [error] = answer.json["errors"]
    assert (error["parameter"], error["value"]) == ("columns", value)
    assert "event_id, requested_at, user" in error["expected"]
    page = user.get(f"/api-requests?columns={text}")
    assert page.status_code == 400
    assert "se espera columnas de este reporte" in text_of(page.text)
    assert "event_id, requested_at, user" in text_of(page.text)
    assert user.get(f"/api-requests.csv?columns={text}").status_code == 302


def test_the_api_answers_with_the_chosen_columns(user: FlaskClient) -> None:
    answer = user.get("/api/v1/api-requests?columns=user,path,data&per_page=5&density=compact&times=relative").json
    assert [list(item) for item in answer["items"]] == [["user", "path", "data"]] * 5
    whole = user.get("/api/v1/api-requests?per_page=5").json
    assert [{name: item[name] for name in ("user", "path", "data")} for item in whole["items"]] == answer["items"]
    assert user.get("/api/v1/api-requests?density=wide").status_code == 400


def test_times_are_relative_or_absolute_and_the_title_has_both(user: FlaskClient) -> None:
    for style, shown in (("relative", r"hace \d+ \w+\.?"), ("absolute", "22/11/2026 09:55:36")):
        page = user.get(f"/api-requests?times={style}&user=phicustester").text
        cell = re.search(r'c-time" data-label="[^"]*"><time datetime="([^"]*)" title="([^"]*)">([^<]*)<', page)
        assert cell
        assert cell[1] == "2026-11-22T09:55:36.000+01:00"
        assert re.fullmatch(r"22/11/2026 09:55:36\.000 CET · hace .*", cell[2])
        assert re.fullmatch(shown, cell[3])


def test_the_chooser_leads_to_a_url_that_says_it_all(user: FlaskClient) -> None:
    base = [("query", "user=crm-a&columns=user&sort=path")]
    chosen = [("columns", "path"), ("columns", "user"), ("columns", "<b>"), ("density", "compact"), ("times", "x")]
    answer = send(user, "/api-requests/look", base + chosen)
    assert answer.location == "/api-requests?user=crm-a&sort=path&columns=path,user&density=compact"
    assert 'class="rows api chosen compact"' in user.get(answer.location).text
    for button, order in (("up", "user,path"), ("down", "path,user")):
        moved = send(user, "/api-requests/look", [*base, *chosen[:2], (button, "user")])
        assert f"columns={order}" in moved.location
        assert '<details class="menu sheet look-menu" open>' in user.get(moved.location).text
    assert send(user, "/api-requests/look", [*base, *chosen, ("reset", "1")]).location == (
        "/api-requests?user=crm-a&sort=path"
    )
    none = send(user, "/api-requests/look", [("query", "//evil.example/?a=1")])
    assert none.location.startswith("/api-requests?")


def test_what_a_user_keeps_opens_with_the_report_and_goes_into_the_url(user: FlaskClient, site: Site) -> None:
    kept = [("columns", "user"), ("columns", "path"), ("density", "compact"), ("times", "relative"), ("remember", "1")]
    send(user, "/api-requests/look", kept)
    opened = "/api-requests?columns=user,path&density=compact&times=relative"
    assert user.get("/api-requests").location == opened
    assert user.get("/api-requests?user=crm-a").location == opened.replace("?", "?user=crm-a&")
    assert user.get(opened).status_code == 200
    assert user.get("/admin-changes").location == "/admin-changes?density=compact&times=relative"
    # What the URL says counts, and is the same for somebody else.
    here, there = (client.get(opened + "&user=crm-a").text for client in (user, site.user("bea")))
    assert headings(here) == headings(there) == ["Usuario", "Ruta"]
    assert site.user("bea").get("/api-requests").status_code == 200
    explicit = send(user, "/api-requests/look", [("columns", "user"), ("density", "comfortable")]).location
    assert explicit == "/api-requests?columns=user&density=comfortable&times=absolute"
    send(user, "/api-requests/look", [("reset", "1"), ("remember", "1")])
    assert user.get("/api-requests").status_code == 200


# Saved views


def test_a_view_is_saved_listed_and_opened(user: FlaskClient, site: Site) -> None:
    form = {"report": "api-requests", "query": "user=crm-a&columns=user,path&sort=path&page=3", "name": " Mine  "}
    answer = send(user, "/views/save", form)
    assert answer.location == "/api-requests?user=crm-a&columns=user,path&sort=path"
    page = user.get("/api-requests").text
    assert 'href="/api-requests?user=crm-a&amp;columns=user,path&amp;sort=path"' in page
    assert "Mine" in text_of(user.get("/views").text)
    other = site.user("bea")
    assert "Mine" not in text_of(other.get("/views").text)
    send(user, "/views/save", form | {"shared": "1"})
    assert "Mine" in text_of(other.get("/api-requests").text)
    assert "de ana" in text_of(other.get("/views").text)
    assert text_of(user.get("/views").text).count("user=crm-a") == 1


def test_a_view_can_count_its_dates_from_the_day_it_is_opened(user: FlaskClient) -> None:
    form = {"report": "admin-changes", "query": "user=ignacio&from=2026-01-01&to=2026-02-01", "range": "7d"}
    answer = send(user, "/views/save", form | {"name": "Week"})
    assert answer.location == "/admin-changes?user=ignacio&range=7d"
    assert user.get(answer.location).location == "/admin-changes?user=ignacio&from=now-7d"


def test_only_its_owner_changes_a_view(user: FlaskClient, site: Site) -> None:
    send(user, "/views/save", {"report": "api-requests", "query": "q=1", "name": "Theirs", "shared": "1"})
    [view] = site.app.extensions["krill_logger"].saved.visible("ana")
    other = site.user("bea")
    for path in ("/views/change", "/views/delete"):
        answer = send(other, path, {"id": str(view.id), "name": "Taken"})
        assert answer.status_code == 400
        assert "No existe esa vista o no es tuya." in answer.text
    for id in ("", "x", "-1", "9" * 30, "²"):
        assert send(user, "/views/delete", {"id": id}).status_code == 400
    send(user, "/views/change", {"id": str(view.id), "name": "Renamed"})
    assert "Renamed" not in other.get("/views").text
    assert "Renamed" in user.get("/views").text
    assert send(user, "/views/delete", {"id": str(view.id)}).location == "/views"
    assert "Renamed" not in text_of(user.get("/views").text).replace("Renamed»", "")


def test_the_default_view_opens_and_the_plain_list_is_one_click_away(user: FlaskClient, site: Site) -> None:
    form = {"report": "api-requests", "query": "user=crm-a", "name": "Start", "default": "1", "shared": "1"}
    send(user, "/views/save", form)
    assert user.get("/api-requests").location == "/api-requests?user=crm-a"
    page = user.get("/api-requests?user=crm-a").text
    plain = "/api-requests?sort=-requested_at"
    assert page.count(f'href="{plain}"') >= 3, "menu, chip and “clear all”"
    assert user.get(plain).status_code == 200
    assert "3.047 elementos" in text_of(user.get(plain).text)
    assert user.get("/api-requests?form=1&user=&q=").location == plain
    # No link of the page leads to the bare path by accident; the navigation and the shortcut do on purpose.
    links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', user.get(plain).text)]
    assert links.count("/api-requests") == 1
    # Another user's default is their own affair, and a view that is shared no longer opens for nobody else.
    other = site.user("bea")
    assert other.get("/api-requests").status_code == 200
    [view] = site.app.extensions["krill_logger"].saved.visible("bea")
    send(other, "/views/default", {"report": "api-requests", "id": str(view.id)})
    assert other.get("/api-requests").location == "/api-requests?user=crm-a"
    send(user, "/views/change", {"id": str(view.id), "name": "Start"})
    assert other.get("/api-requests").status_code == 200
    assert user.get("/api-requests").status_code == 302
    send(user, "/views/default", {"report": "api-requests", "id": ""})
    assert user.get("/api-requests").status_code == 200


@pytest.mark.parametrize("name", [sites.SCRIPT, sites.ATTRIBUTE[:80], "é ñ 中文 🎉", "=1+1", "x" * 80, "\u202egpj"])
def test_hostile_names_are_names(user: FlaskClient, name: str) -> None:
    send(user, "/views/save", {"report": "api-requests", "query": urlencode({"q": name}), "name": name})
    for path in ("/views", "/api-requests"):
        page = user.get(path).text
        assert sites.SCRIPT not in page
        assert sites.ATTRIBUTE[:80] not in page
    [link] = re.findall(r'class="view-name"><a href="([^"]*)"', user.get("/views").text)
    assert parse_qs(urlsplit(html.unescape(link)).query)["q"] == [name]


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\nb", "a\0b", "a\u2028b"])
def test_names_that_are_none_are_refused(user: FlaskClient, name: str) -> None:
    answer = send(user, "/views/save", {"report": "api-requests", "query": "q=1", "name": name})
    assert answer.status_code == 400
    assert "El nombre de una vista tiene de 1 a 80 caracteres" in answer.text


def test_what_cannot_be_opened_cannot_be_saved(user: FlaskClient) -> None:
    assert send(user, "/views/save", {"report": "api-requests", "query": "foo=1", "name": "x"}).status_code == 400
    assert send(user, "/views/save", {"report": "secrets", "query": "", "name": "x"}).status_code == 400
    long = "&".join(f"user={'x' * 1000}{n}" for n in range(LONGEST_QUERY // 1000))
    assert "demasiado larga" in send(user, "/views/save", {"report": "api-requests", "query": long, "name": "x"}).text


def test_views_go_with_their_user_and_have_a_limit(tmp_path: Any) -> None:
    accounts = Accounts(tmp_path / "a.sqlite3")
    for name in ("ana", "bea"):
        accounts.create_user(name, sites.PASSWORD)
    saved = SavedViews(accounts)
    for number in range(MOST_VIEWS):
        view = saved.save("ana", "api-requests", f"v{number}", "q=1", shared=True)
    with pytest.raises(AccountError, match="cannot have more"):
        saved.save("ana", "api-requests", "more", "q=1", shared=True)
    saved.save("ana", "api-requests", "v1", "q=2", shared=True)
    saved.set_default("bea", "api-requests", view.id)
    saved.set_columns("ana", "api-requests", ("user",))
    with pytest.raises(AccountError, match="no such view"):
        saved.set_default("bea", "admin-changes", view.id)
    assert saved.default("bea", "api-requests")
    accounts.revoke_user("ana")
    assert saved.visible("bea") == []
    assert saved.default("bea", "api-requests") is None
    accounts.create_user("ana", sites.PASSWORD)
    assert saved.columns("ana", "api-requests") == ()


def test_a_file_of_an_older_version_is_carried_over(tmp_path: Any) -> None:
    path = tmp_path / "old.sqlite3"
    Accounts(path).create_user("ana", sites.PASSWORD)
    with sqlite3.connect(path) as db:
        for name in ("density", "times"):
            db.execute(f"ALTER TABLE users DROP COLUMN {name}")
    db.close()
    accounts = Accounts(path)
    SavedViews(accounts)
    accounts.set_preferences("ana", density="compact")
    assert accounts.preferences("ana").density == "compact"
    assert accounts.preferences("ana").times == "absolute"
    assert accounts.check_password("ana", sites.PASSWORD)
