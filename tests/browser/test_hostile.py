"""Two hundred hostile rows of each kind on every page: nothing runs, and no text leaves its place."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from dashboard.integrations import path_to as integration_path
from dashboard.views.objects import path_to as object_path
from tests import hostile
from tests import site as sites
from tests.browser.visit import SIZES, Visit, overflow
from tests.integration import report_data
from tests.integration.test_history import change, request
from tests.site import Site

AT = dt.datetime(2026, 11, 25, 10, tzinfo=dt.UTC)
ROWS = 200
TEXTS = [*(text for text in hostile.TEXTS if text.strip()), *(sites.SCRIPT, sites.ATTRIBUTE, sites.BIDI, sites.LONG)]
PERIOD = "from=2026-11-25&to=2026-11-26"
# What sticks out of the box that it was given, unless that scrolls or cuts: one text would lie on another.
STICKS_OUT = """() => [...document.querySelectorAll("main *")].filter(element => {
    const style = getComputedStyle(element);
    if (!element.checkVisibility() || element.closest("svg, .visually-hidden, [hidden]")) return false;
    if (style.display === "inline" || style.overflowX !== "visible" || !element.clientWidth) return false;
    if (element.scrollWidth <= element.clientWidth + 1) return false;
    for (let around = element; around.id !== "content"; around = around.parentElement) {
        if (["auto", "scroll"].includes(getComputedStyle(around).overflowX)) return false;
    }
    return true;
}).map(element => element.outerHTML.slice(0, 200))"""


def made() -> dict[str, list[dict[str, Any]]]:
    """Rows of every table, with another hostile text in each place."""
    texts = itertools.cycle(TEXTS)
    requests, changes, letters = [], [], []
    for number in range(ROWS):
        one, two, three = next(texts), next(texts), next(texts)
        at = AT + dt.timedelta(seconds=number)
        requests.append(
            request(
                number,
                event_id=uuid.UUID(int=2**100 + number),
                requested_at=at,
                user=one,
                method=two[:30],
                path="/" + three,
                route=one[:200],
                object_type="cpe",
                object_id="victim",
                host=two,
                view=three,
                view_method=one[:50],
                status_code=(200, 404, 500)[number % 3],
                query_params=json.dumps({one: {two: [three]}}),
                data=json.dumps([{one: two}] * 3),
                response=json.dumps({"a": three}),
                errors=f"Traceback (most recent call last):\n  {one}\nError: {two}",
                user_agent=three,
                request_id=one,
                masked=[one],
                truncated=[two],
            )
        )
        changes.append(
            change(
                number,
                event_id=uuid.UUID(int=2**99 + number),
                changed_at=at,
                user=two,
                action=("addition", "change", "deletion")[number % 3],
                app_label=one,
                model=two,
                object_type="cpe",
                object_id="victim",
                object_repr=three,
                change_message=one,
                changed_fields=[one, two],
                changes=json.dumps([{"field": one, "old": two * 20, "new": three * 20}, {"field": two, "new": [one]}]),
                request_id=two,
                masked=[three],
            )
        )
        letters.append(
            {
                "kafka_topic": one[:80],
                "kafka_partition": 0,
                "kafka_offset": 1000 + number,
                "failed_at": at,
                "reason": two,
                "error": three,
                "key": one,
                "headers": json.dumps([[one, two]]),
                "value": three.encode() + b"\xff\x00",
            }
        )
    return {"api_requests": requests, "admin_changes": changes, "dead_letters": letters}


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site"), filled=False) as made_site:
        for table, rows in made().items():
            report_data.insert(made_site.client, table, rows)
        views = made_site.app.extensions["krill_logger"].saved
        for number, text in enumerate(TEXTS):
            name = f"{number} {text}"[:80]
            if name.isprintable():
                views.save(sites.USER, "api-requests", name, f"user={number}", shared=False)
        with sites.listening(made_site) as site:
            yield site


def pages(rows: dict[str, list[dict[str, Any]]]) -> list[str]:
    requests, changes = rows["api_requests"], rows["admin_changes"]
    last = len(TEXTS)  # a row has three of them
    opened = "&".join(f"open={row['event_id']}" for row in changes[-20:])
    return [
        "/",
        "/api-requests?per_page=200",
        f"/api-requests?per_page=200&columns=user,method,host,data,masked,errors&open={requests[-1]['event_id']}",
        *(f"/api-requests/{row['event_id']}" for row in requests[-last::3]),
        f"/api-requests/{requests[-1]['event_id']}/data",
        f"/admin-changes?per_page=200&{opened}",
        *(f"/admin-changes/{row['event_id']}" for row in changes[-last::3]),
        f"{object_path('cpe', 'victim')}?reads=1",
        *(f"/trends?{PERIOD}&by={column}&compare=previous" for column in ("user", "route", "method", "host")),
        f"/api-requests/slowest?{PERIOD}",
        f"/integrations?{PERIOD}&per_page=200",
        *(f"{path}?{PERIOD}" for text in TEXTS[::3] if (path := integration_path(text)) and len(path) < 2000),
        "/api-requests/facets",
        "/api-requests/histogram",
        "/admin-changes/facets",
        "/dead-letters",
        "/views",
    ]


@pytest.mark.parametrize("size", SIZES)
def test_nothing_runs_and_nothing_leaves_its_place(browser: Browser, site: Site, size: str) -> None:
    out: dict[str, list[str]] = {}
    with Visit(browser, site, viewport=SIZES[size]) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a dialog opened: {dialog.message}"))
        for path in pages(made()):
            answer = page.goto(path)
            assert answer
            assert answer.status == 200, path
            expect(page.locator("[aria-busy=true]")).to_have_count(0)
            for folded in page.locator(".letter > summary, .views-menu > summary").all()[:30]:
                folded.click()
            assert page.evaluate("window.hacked") is None, path
            assert page.locator("main img, main iframe, main script").count() == 0, path
            assert overflow(page) == 0, path
            if found := page.evaluate(STICKS_OUT):
                out[path] = found
    assert out == {}
