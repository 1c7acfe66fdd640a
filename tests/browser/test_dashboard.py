"""The dashboard in Chromium: by mouse, by keyboard, on a phone, without scripts, and in the face of hostile data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests import site as sites
from tests.browser import axe
from tests.browser.visit import LOOKS, SIZES, Visit, overflow, reader
from tests.site import Site

PAGES = (
    "/",
    f"/api-requests?per_page=25&open={sites.PATCH_ID}",
    "/api-requests?status_code=abc&foo=1&from=x",
    "/api-requests?user=nobody",
    f"/api-requests/{sites.CRASH_ID}",
    f"/admin-changes?per_page=25&open={sites.CHANGE_ID}",
    f"/admin-changes/{sites.CHANGE_ID}",
    "/trends?from=2026-10-24&interval=day",
    "/trends?from=2026-10-24&interval=day&by=user",
    "/dead-letters",
    "/account",
    "/nothing",
)


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made, sites.listening(made) as site:
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
            assert page.locator("html").get_attribute("lang") == language
            for summary in (".panel > summary", ".more > summary", ".letter > summary", ".facets > summary"):
                if page.locator(summary).count() and not page.locator(summary).first.evaluate("e => e.parentNode.open"):
                    page.locator(summary).first.click()
            expect(page.locator("[aria-busy=true]")).to_have_count(0)
            page.evaluate("scrollTo(0, 0)")  # what the bar at the top covers elsewhere is no fault of the page
            assert axe.problems(page) == [], path
            assert overflow(page) == 0, path


def test_a_row_opens_and_closes_in_place_and_the_url_keeps_it(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        page.goto("/api-requests?user=phicustester")
        row = page.get_by_role("button", name="Detalles").first
        row.click()
        expect(page.get_by_role("region", name="Parámetros")).to_contain_text(re.compile(r"postalcode\W+1505"))
        assert parse_qs(urlsplit(page.url).query)["open"] == [str(sites.PATCH_ID)]
        page.reload()
        expect(page.locator(".detail-row")).to_be_visible()
        page.get_by_role("button", name="Detalles").first.click()
        expect(page.locator(".detail-row")).to_have_count(0)
        assert "open" not in page.url


def test_everything_is_reached_by_keyboard(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        page.goto("/api-requests")
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        page.keyboard.press("Enter")
        page.locator(".range-menu summary").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Últimos 15 minutos")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.locator(".range-menu summary")).to_be_focused()
        expect(page.get_by_role("link", name="Últimos 15 minutos")).to_be_hidden()
        page.locator(".toggle").first.focus()
        page.keyboard.press("Space")
        expect(page.locator(".detail-row")).to_be_visible()


def test_filters_narrow_the_rows_and_back_restores_them(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        page.goto("/api-requests")
        page.locator(".panel > summary").click()
        page.locator("input[name=user]").first.fill("phicustester")
        page.get_by_label("PATCH", exact=True).check()
        page.get_by_role("button", name="Aplicar filtros").click()
        page.wait_for_url("**/api-requests?user=phicustester&method=PATCH")
        expect(page.locator("tr.row")).to_have_count(1)
        page.get_by_role("link", name=re.compile("Método PATCH")).click()
        page.wait_for_url("**/api-requests?user=phicustester")
        page.go_back()
        expect(page.get_by_label("PATCH", exact=True)).to_be_checked()
        page.goto("/admin-changes")
        page.get_by_role("link", name="pim0585").click()
        page.wait_for_url("**/admin-changes?object_repr=pim0585")
        expect(page.locator("tr.row")).to_have_count(1)


def test_pages_turn_by_their_selects(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        page.goto("/admin-changes")
        expect(page.get_by_role("button", name="Ir", exact=True).first).to_be_hidden()
        page.get_by_label("Filas por página").first.select_option("25")
        page.wait_for_url("**/admin-changes?per_page=25")
        page.locator("select[name=page]").last.select_option("9")
        page.wait_for_url("**/admin-changes?per_page=25&page=9")
        expect(page.locator("tr.row")).to_have_count(2)


def test_fields_suggest_what_is_there(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        page.goto("/api-requests")
        page.locator(".panel > summary").click()
        page.locator("input[name=user]").first.press_sequentially("phic")
        expect(page.locator("#list-user option")).to_have_attribute("value", "phicustester")


def test_reading_and_filtering_work_without_scripts(browser: Browser, site: Site) -> None:
    with Visit(browser, site, java_script_enabled=False) as page:
        page.goto("/api-requests?user=phicustester")
        page.get_by_role("button", name="Detalles").first.click()
        expect(page.get_by_role("region", name="Parámetros")).to_contain_text(re.compile(r"postalcode\W+1505"))
        page.get_by_role("button", name="Detalles").first.click()
        expect(page.locator(".detail-row")).to_have_count(0)
        page.locator("#search").fill("usuario:phicustester 1505")
        page.get_by_role("button", name="Buscar").click()
        page.wait_for_url("**/api-requests?user=phicustester&q=1505")
        expect(page.locator("tr.row")).to_have_count(1)
        page.goto("/admin-changes")
        page.get_by_label("Filas por página").first.select_option("50")
        page.get_by_role("button", name="Ir", exact=True).first.click()
        page.wait_for_url("**/admin-changes?per_page=50")
        page.goto("/trends?from=2026-11-22&to=2026-11-23")
        expect(page.locator(".plain-table.numbers")).to_contain_text("22/11/2026 09:00")


@pytest.mark.parametrize("size", SIZES)
def test_nothing_moves_while_a_page_loads(browser: Browser, site: Site, size: str) -> None:
    with Visit(browser, site, viewport=SIZES[size]) as page:
        for path in ("/", "/api-requests", "/trends?from=2026-10-24&interval=day"):
            page.goto(path)
            page.wait_for_load_state("networkidle")
            shift = page.evaluate(
                """() => new Promise(done => {
                    let sum = 0;
                    new PerformanceObserver(list => { for (const entry of list.getEntries()) sum += entry.value; })
                        .observe({type: "layout-shift", buffered: true});
                    setTimeout(() => done(sum), 100);
                })"""
            )
            assert shift < 0.01, path


def test_the_theme_is_the_systems_or_the_users(browser: Browser, site: Site) -> None:
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    with Visit(browser, site, color_scheme="dark") as page:
        page.goto("/")
        dark = page.evaluate(ground)
        page.locator(".user-menu summary").click()
        page.get_by_role("button", name="Claro").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "light")
        light = page.evaluate(ground)
        assert dark != light
        page.locator(".user-menu summary").click()
        page.get_by_role("button", name="Como el sistema").click()
        expect(page.locator("html")).not_to_have_attribute("data-theme", "light")
        assert page.evaluate(ground) == dark


def test_charts_tell_the_numbers_under_the_pointer(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        page.goto("/trends?from=2026-11-22T00:00&to=2026-11-23T00:00&interval=hour")
        page.locator(".chart").first.locator(".hit").nth(9).hover()
        expect(page.locator(".tip").first).to_have_text("09:00\nPeticiones: 8\nErrores: 1")
        page.locator(".chart").nth(1).locator(".hit").nth(9).hover()
        expect(page.locator(".tip").nth(1)).to_contain_text("p95: ")
        expect(page.locator(".tip").first).to_be_hidden()


def test_a_histogram_zooms_by_dragging_and_by_keyboard(browser: Browser, site: Site) -> None:
    day = "/api-requests?from=2026-10-24T22:00:00%2B02:00&to=2026-10-25T21:00:00%2B01:00&user=crm-a"
    with Visit(browser, site) as page:
        page.goto(day)
        bars = page.locator(".histogram .plot a")
        expect(bars).to_have_count(48)
        bars.nth(4).hover()
        expect(page.locator(".histogram .tip")).to_contain_text("25/10/2026 00:00 – 25/10/2026 00:30")
        first, last = bars.nth(4).bounding_box(), bars.nth(7).bounding_box()
        assert first
        assert last
        page.mouse.move(first["x"] + 5, first["y"] + 40)
        page.mouse.down()
        page.mouse.move(last["x"] + 5, last["y"] + 40, steps=4)
        expect(page.locator(".histogram .is-selected")).to_have_count(4)
        page.mouse.up()
        page.wait_for_url(lambda url: "T02%3A00" in url)
        assert parse_qs(urlsplit(page.url).query) == {
            "from": ["2026-10-25T00:00:00+02:00"],
            "to": ["2026-10-25T02:00:00+02:00"],
            "user": ["crm-a"],
        }
        expect(page.locator("tr.row")).not_to_have_count(0)
        page.go_back()
        expect(bars).to_have_count(48)
        bars.last.focus()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        expect(page.locator(".histogram .is-selected")).to_have_count(2)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "T23%3A30" in url)
        assert parse_qs(urlsplit(page.url).query)["from"] == ["2026-10-24T22:30:00+02:00"]
        assert parse_qs(urlsplit(page.url).query)["to"] == ["2026-10-24T23:30:00+02:00"]


def test_facets_narrow_the_rows_and_stay_as_they_were_left(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        page.goto("/api-requests?user=crm-a&user=crm-b")
        method = page.get_by_role("region", name="Método")
        method.get_by_role("link", name="PATCH", exact=True).click()
        page.wait_for_url("**/api-requests?user=crm-a&user=crm-b&method=PATCH")
        page.get_by_role("region", name="Usuario").get_by_role("link", name="Sin crm-b").click()
        page.wait_for_url("**/api-requests?user=crm-a&user=crm-b&method=PATCH&-user=crm-b")
        expect(page.get_by_role("region", name="Usuario").get_by_role("listitem")).to_have_count(1)
        page.locator(".facets > summary").click()
        page.reload()
        expect(page.locator(".facets > summary")).to_be_visible()
        expect(page.locator(".facet-list")).to_have_count(0)
    with Visit(browser, site, viewport=SIZES["phone"]) as page:
        page.goto("/admin-changes")
        expect(page.locator(".histogram .plot")).to_be_visible()
        expect(page.locator(".facet-list")).to_have_count(0)
        page.locator(".facets > summary").click()
        expect(page.get_by_role("region", name="Campo modificado")).to_contain_text("postalcode")
        assert overflow(page) == 0
    with Visit(browser, site, java_script_enabled=False) as page:
        page.goto("/api-requests?method=PATCH")
        page.get_by_role("link", name="Facetas").click()
        page.get_by_role("region", name="Usuario").get_by_role("link", name="crm-a", exact=True).click()
        page.wait_for_url("**/api-requests?method=PATCH&user=crm-a")
        page.get_by_role("link", name="Histograma").click()
        page.locator(".plot a").first.click()
        page.wait_for_url("**/api-requests?method=PATCH&user=crm-a&from=*")


def test_both_languages_fit_and_are_chosen_in_the_menu(browser: Browser, site: Site) -> None:
    site.app.extensions["krill_logger"].accounts.create_user("ben", sites.PASSWORD)
    with Visit(browser, site, user="ben", viewport=SIZES["phone"]) as page:
        page.locator(".user-menu summary").click()
        page.get_by_role("button", name="English").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Logger dashboard")
        for path in PAGES:
            page.goto(path)
            assert overflow(page) == 0, path
        page.set_viewport_size(SIZES["desktop"])
        page.goto("/api-requests")
        clipped = "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth).map(cell => cell.textContent)"
        assert page.locator(".c-time, .c-ms, .c-status, thead th").evaluate_all(clipped) == []
        page.locator(".user-menu summary").click()
        page.get_by_role("button", name="Español").click()
        assert page.locator(".c-time, .c-ms, .c-status, thead th").evaluate_all(clipped) == []
        page.goto("/")
        expect(page.get_by_role("heading", level=1)).to_have_text("Inicio de Logger")


def test_printing_leaves_the_controls_out(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        page.goto("/api-requests?user=crm-a")
        page.emulate_media(media="print")
        expect(page.locator("table.rows")).to_be_visible()
        for selector in (".bar", ".filters", ".actions", ".toggle >> nth=0"):
            expect(page.locator(selector)).to_be_hidden()
