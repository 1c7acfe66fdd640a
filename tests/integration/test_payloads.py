"""Payloads as trees on a row's page and on their own, and the errors beside them: bounded, searched, escaped."""

from __future__ import annotations

import datetime as dt
import html
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests import hostile
from tests import site as sites
from tests.integration import report_data
from tests.integration.test_history import change, request
from tests.site import Site, text_of

AT = dt.datetime(2026, 11, 23, 10, tzinfo=dt.UTC)
WIDE, CRASH, TEXT, DEEP = (uuid.UUID(int=2**100 + number) for number in range(4))
LONG_OLD = " ".join(f"palabra{number}" for number in range(2000))
TRACEBACK = "Traceback (most recent call last):\n" + '  File "a.py", line 1, in f\n    f()\n' * 40 + "KeyError: 'pim'\n"


def hostile_rows() -> list[dict[str, Any]]:
    """200 rows with hostile names, values and errors, nested and not."""
    texts = [text for text in hostile.TEXTS if "\x00" not in text] + [sites.SCRIPT, sites.ATTRIBUTE, sites.BIDI]
    rows = []
    for number in range(200):
        text, other = texts[number % len(texts)], texts[number * 7 % len(texts)]
        value = {text: {other: [text, {other: text}]}, other: text}
        rows.append(
            request(
                5000 + number,
                requested_at=AT + dt.timedelta(milliseconds=number),
                user="hostile",
                query_params=json.dumps({text: other}),
                data=json.dumps(value),
                response=json.dumps([text] * 50),
                errors=f"{text}\n{TRACEBACK}{text}",
                masked=[text],
                truncated=["data", text],
            )
        )
    return rows


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made:
        wide = {"list": list(range(1000)), "customer": {"postalcode": "1505", "phones": ["600", "601"], "vip": True}}
        deep: dict[str, Any] = {"bottom": "here"}
        for _ in range(30):
            deep = {"down": deep}
        report_data.insert(
            made.client,
            "api_requests",
            hostile_rows()
            + [
                {"masked": [], "truncated": [], "errors": "", "response": ""} | row
                for row in (
                    request(3000, event_id=WIDE, requested_at=AT, data=json.dumps(wide), truncated=["response"]),
                    request(
                        3001, event_id=CRASH, requested_at=AT, status_code=500, errors="PATCH failed\n" + TRACEBACK
                    ),
                    request(3002, event_id=DEEP, requested_at=AT, data=json.dumps(deep)),
                )
            ],
        )
        many = {"field": "groups", "old": ["ventas", "soporte"], "new": ["soporte", "admin"]}
        notes = {"field": "notes", "old": LONG_OLD, "new": LONG_OLD.replace("palabra1000", sites.SCRIPT)}
        config = {"field": "config", "old": {"wifi": {"channel": 6}}, "new": {"wifi": {"channel": 11}}}
        report_data.insert(
            made.client,
            "admin_changes",
            [
                change(3000, event_id=TEXT, changed_at=AT, changes=json.dumps([many, notes, config])),
                *(
                    change(
                        5000 + number,
                        changed_at=AT,
                        user="hostile",
                        changes=json.dumps(
                            [
                                {"field": text, "old": text * 60, "new": "x" + text * 60},
                                {"field": text, "old": [text], "new": [text, text]},
                                {"field": text, "old": {text: text}, "new": {text: None}},
                            ]
                        ),
                        masked=[],
                    )
                    for number, text in enumerate(text for text in hostile.TEXTS if "\x00" not in text)
                ),
            ],
        )
        yield made


@pytest.fixture
def user(site: Site) -> FlaskClient:
    return site.user()


def links(page: str, kind: str) -> list[str]:
    return [html.unescape(link) for link in re.findall(rf'<a class="{kind}[^"]*" href="([^"]+)"', page)]


def test_a_click_on_a_value_filters_by_its_field_and_keeps_the_lists_filters(user: FlaskClient) -> None:
    page = user.get(f"/api-requests/{WIDE}?fragment=1&user=crm-norte").text
    only = "/api-requests?user=crm-norte&field.postalcode=1505"
    assert only in links(page, "t-value")
    assert "/api-requests?user=crm-norte&-field.postalcode=1505" in links(page, "t-out")
    assert str(WIDE) in user.get(only).text
    assert str(WIDE) not in user.get("/api-requests?user=crm-norte&-field.postalcode=1505&per_page=500").text
    assert "/api-requests?user=crm-norte&field.vip=true" in links(page, "t-value")
    assert "/api-requests?user=crm-norte&q=601" in links(page, "t-value")
    changed = user.get(f"/admin-changes/{sites.CHANGE_ID}").text
    assert "/admin-changes?field.postalcode=1505" in links(changed, "value")
    assert f"open={sites.CHANGE_ID}" in user.get("/admin-changes?field.postalcode=1505&user=ignacio").text


def test_what_is_not_shown_is_a_link_away(user: FlaskClient) -> None:
    page = user.get(f"/api-requests/{WIDE}?fragment=1").text
    assert "960 más" in text_of(page)
    more = html.unescape(re.findall(r'class="t-more"><a href="([^"]+)"', page)[0])
    assert more == f"/api-requests/{WIDE}/data?at=/list&start=40"
    further = user.get(f"{more}&fragment=1").text
    assert "<html" not in further
    assert re.findall(r'data-way="([^"]+)"', further)[0] == "list[40]"
    alone = user.get(more).text
    assert re.findall(r"<h1>.*?</h1>", alone)[0].count("list") == 1
    assert re.findall(r'data-way="([^"]+)"', alone)[0] == "list[40]"
    for wrong in ("at=/list/5000", "at=list", "start=x", "start=-1", "at=%ff"):
        assert user.get(f"/api-requests/{WIDE}/data?{wrong}").status_code == 404
    assert user.get(f"/api-requests/{WIDE}/data.txt?at=/customer/phones/1").text == "601"
    assert json.loads(user.get(f"/api-requests/{WIDE}/data.txt?at=/customer").text)["vip"] is True
    assert user.get(f"/api-requests/{WIDE}/data.txt?at=/x").status_code == 404


def test_a_search_in_a_payload_finds_what_is_not_shown(user: FlaskClient) -> None:
    assert "bottom" not in user.get(f"/api-requests/{DEEP}?fragment=1").text
    for form in ("", "&fragment=1"):
        page = user.get(f"/api-requests/{DEEP}/data?find=BOTTOM{form}").text
        assert "1 valor encontrado." in text_of(page)
        assert f'data-way="{"down." * 30}bottom"' in page
    assert "0 valores encontrados." in text_of(user.get(f"/api-requests/{DEEP}/data?find=nowhere").text)


def test_an_error_shows_its_last_line_and_folds_the_frames(user: FlaskClient) -> None:
    page = user.get(f"/api-requests/{CRASH}").text
    assert re.search(r"<b><bdi>KeyError: &#39;pim&#39;</bdi></b>\s*<details>", page)
    assert "Traza con 40 llamadas" in text_of(page)
    assert "cortado por su tamaño" in text_of(user.get(f"/api-requests/{WIDE}").text)


def test_changes_show_what_changed_inside(user: FlaskClient) -> None:
    page = user.get(f"/admin-changes/{TEXT}").text
    groups, notes, config = re.findall(r'<td colspan="2" class="both">(.*?)</td>', page, re.DOTALL)
    assert re.findall(r"<(ins|del)>(.*?)</", groups) == [("del", "ventas"), ("ins", "admin")]
    assert "<del>palabra1000</del>" in notes
    assert "&lt;script&gt;" in notes
    assert notes.count('<details class="fold">') == 2
    assert re.findall(r"<(ins|del)>(.*?)</", config) == [("del", "6"), ("ins", "11")]
    assert "wifi.channel" in config


def test_200_hostile_rows_stay_text(user: FlaskClient) -> None:
    paths = ["/api-requests?user=hostile&per_page=200", "/admin-changes?user=hostile"]
    ids = re.findall(r'data-id="([^"]+)"', user.get(paths[0]).text)
    assert len(ids) == 200
    paths.append("/api-requests?user=hostile&" + "&".join(f"open={one}" for one in ids[:10]))
    paths += [f"/api-requests/{one}?fragment=1" for one in ids]
    paths += [f"/api-requests/{one}/{column}" for one in ids[:30] for column in ("data", "response", "errors")]
    changes = re.findall(r'data-id="([^"]+)"', user.get(paths[1]).text)
    paths += [f"/admin-changes/{one}" for one in changes]
    for path in paths:
        answer = user.get(path)
        assert answer.status_code == 200, path
        assert not re.search(r"<script(?! src=)|<img|<svg/|<b>window|<style| style=|href=\"(?!/|\?|#)", answer.text), (
            path
        )
        assert not set(answer.text) & set("\u202e\u2066\u200b\ufeff\x1b\x7f"), path
        for link in links(answer.text, "t-value")[:3] + links(answer.text, "t-out")[:3]:
            assert link.startswith(("/api-requests?", "/admin-changes?"))
    for link in links(user.get(f"/api-requests/{ids[9]}?fragment=1").text, "t-value"):
        assert user.get(link).status_code == 200, link
