"""The history of an object and the ways from row to row, in Chromium."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests import site as sites
from tests.browser import axe
from tests.browser.visit import LOOKS, SIZES, Visit, overflow, reader
from tests.integration import report_data
from tests.integration.test_history import BROWSER, change, request
from tests.site import Site

AT = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
CHANGE = change(1, object_id="585", object_repr="pim0585", request_id="req-9", user="crm-norte")
REQUEST = request(1, object_id="585", path="/api/v2/isp/cpes/585/", request_id="req-9", data='{"postalcode": "1505"}')
PAGES = (
    "/objects/cpe/585",
    "/objects/cpe/585?reads=1&from=x",
    "/objects/cpe/nobody",
    f"/api-requests/{REQUEST['event_id']}",
    f"/admin-changes/{CHANGE['event_id']}",
)


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made, sites.listening(made) as site:
        day = dt.timedelta(days=1)
        fields = ["postalcode", "wifi_password", "active", "notes"]
        several = [{"field": name, "old": None, "new": "x" * 200} for name in fields]
        report_data.insert(
            made.client,
            "admin_changes",
            [
                CHANGE,
                change(2, object_id="585", changed_at=AT + day, changes=json.dumps(several), masked=["wifi_password"]),
                change(3, object_id="585", changed_at=AT + 2 * day, action="deletion", object_repr="pim0585"),
                change(4, object_id="585", changed_at=AT - day, action="addition", user=""),
            ],
        )
        report_data.insert(
            made.client,
            "api_requests",
            [
                REQUEST,
                request(2, object_id="585", requested_at=AT + day, user_agent=BROWSER, user="soporte"),
                request(3, object_id="585", requested_at=AT - day, path="/" + sites.LONG, status_code=500),
                request(4, object_id="585", method="GET"),
            ],
        )
        yield site


@pytest.mark.parametrize(("size", "scheme", "language"), LOOKS)
def test_axe_finds_nothing_and_no_page_is_too_wide(
    browser: Browser, site: Site, size: str, scheme: str, language: str
) -> None:
    with Visit(
        browser, site, reader(site, language), viewport=SIZES[size], color_scheme=scheme, bypass_csp=True
    ) as page:
        for path in PAGES:
            page.goto(path)
            assert axe.problems(page) == [], path
            assert overflow(page) == 0, path


def test_from_a_row_to_the_history_and_from_there_to_the_request(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        page.goto("/admin-changes?object_id=585&user=crm-norte")
        page.get_by_role("button", name="Detalles").first.click()
        page.get_by_role("link", name="Historial de este objeto").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("CPE pim0585")
        # `pim0585` of the site's own rows is the same object.
        expect(page.locator(".entry")).to_have_count(8)
        page.get_by_label("También las peticiones de solo lectura").check()
        page.get_by_role("button", name="Aplicar").click()
        page.wait_for_url("**/objects/cpe/585?reads=1")
        expect(page.locator(".entry")).to_have_count(9)
        page.get_by_role("link", name="Petición que lo causó").click()
        expect(page.get_by_role("heading", name="Cambios que causó")).to_be_visible()
        page.go_back()
        expect(page.get_by_label("También las peticiones de solo lectura")).to_be_checked()


def test_keys_go_through_the_list_and_can_be_switched_off(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        page.goto("/admin-changes?object_id=585")
        ids = page.locator("a.toggle").evaluate_all("all => all.map(one => one.dataset.id)")
        page.goto(f"/admin-changes/{ids[0]}?object_id=585")
        for key, place in (("j", 1), ("j", 2), ("k", 1)):
            page.keyboard.press(key)
            page.wait_for_url(f"**/admin-changes/{ids[place]}?object_id=585")
        page.get_by_label("Teclas j y k").uncheck()
        page.reload()
        page.keyboard.press("j")
        expect(page.get_by_label("Teclas j y k")).not_to_be_checked()
        assert ids[1] in page.url
        page.get_by_role("link", name="Fila siguiente").click()
        page.wait_for_url(f"**/admin-changes/{ids[2]}?object_id=585")


def test_a_row_is_copied(browser: Browser, site: Site) -> None:
    with Visit(browser, site, permissions=["clipboard-read", "clipboard-write"]) as page:
        own = f"/api-requests/{REQUEST['event_id']}?object_id=585"
        page.goto(own)
        for name, wanted in (
            ("Copiar como cURL", "--header 'Authorization: Token TOKEN'"),
            ("Copiar como JSON", '"request_id": "req-9"'),
            ("Copiar enlace", site.url + own),
        ):
            page.evaluate("navigator.clipboard.writeText('')")
            page.get_by_role("button", name=name).click()
            page.wait_for_function(
                "text => navigator.clipboard.readText().then(held => held.includes(text))", arg=wanted
            )
            expect(page.get_by_role("status")).to_have_text("Copiado")


def test_without_scripts_there_are_links_and_no_buttons(browser: Browser, site: Site) -> None:
    with Visit(browser, site, java_script_enabled=False) as page:
        page.goto(f"/api-requests/{REQUEST['event_id']}")
        expect(page.get_by_role("link", name="Fila siguiente")).to_be_visible()
        expect(page.get_by_text("Copiar como cURL")).to_be_hidden()
        expect(page.get_by_label("Teclas j y k")).to_be_hidden()
