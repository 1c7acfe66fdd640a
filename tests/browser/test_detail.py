"""Rows in detail and reports live, in Chromium: by mouse, keyboard and touch, in both languages, on paper."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import site as sites
from tests.browser import axe
from tests.browser.visit import LOOKS, SIZES, Visit, overflow, reader
from tests.integration import report_data
from tests.integration.test_history import change, request
from tests.integration.test_live import Worker
from tests.integration.test_payloads import CRASH, TRACEBACK, WIDE, hostile_rows
from tests.site import Site, post

AT = dt.datetime(2026, 11, 23, 10, tzinfo=dt.UTC)
TEXT, MANY = uuid.UUID(int=2**101), "many"
OLD = " ".join(f"palabra{number}" for number in range(500))


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made, sites.listening(made) as site:
        wide = {"list": list(range(200)), "customer": {"postalcode": "1505", "phones": ["600", "601"], "vip": True}}
        plain = {"masked": [], "truncated": [], "errors": "", "response": "", "requested_at": AT}
        report_data.insert(
            made.client,
            "api_requests",
            [
                *hostile_rows(),
                plain | request(3000, event_id=WIDE, data=json.dumps(wide), truncated=["data"]),
                plain | request(3001, event_id=CRASH, status_code=500, errors=TRACEBACK),
            ],
        )
        notes = {"field": "notes", "old": OLD, "new": OLD.replace("palabra250", sites.SCRIPT)}
        groups = {"field": "groups", "old": ["ventas"], "new": ["admin"]}
        report_data.insert(
            made.client,
            "admin_changes",
            [
                change(3000, event_id=TEXT, changed_at=AT, changes=json.dumps([notes, groups])),
                *(change(10_000 + number, object_id=MANY, object_repr=sites.SCRIPT) for number in range(10_000)),
            ],
        )
        yield site


PAGES = (
    f"/api-requests?user=hostile&per_page=25&open={uuid.UUID(int=2**71 + 5190)}",
    f"/api-requests/{WIDE}",
    f"/api-requests/{CRASH}",
    f"/api-requests/{WIDE}/data",
    f"/api-requests/{WIDE}/data?find=60",
    f"/admin-changes/{TEXT}",
    "/api-requests?live=1&per_page=25",
    "/admin-changes?live=paused&user=nobody",
    f"/objects/cpe/{MANY}",
)


@pytest.mark.parametrize(("size", "scheme", "language"), LOOKS)
def test_axe_finds_nothing_and_no_page_is_too_wide(
    browser: Browser, site: Site, size: str, scheme: str, language: str
) -> None:
    with Visit(
        browser, site, reader(site, language), viewport=SIZES[size], color_scheme=scheme, bypass_csp=True
    ) as page:
        for path in PAGES:
            page.goto(path)
            for one in page.locator(".tree details:not([open]) > summary, .raised summary, .fold summary").all()[:5]:
                one.click()
            expect(page.locator("[aria-busy=true]")).to_have_count(0)
            if page.locator(".t-leaf").count():
                page.locator(".t-leaf").first.hover()
            # What the bar at the top half covers is too small for axe.
            page.evaluate("scrollTo(0, 0)")
            assert axe.problems(page) == [], path
            assert overflow(page) == 0, path
        page.goto("/api-requests?user=hostile&per_page=200&open=first")
        expect(page.locator("tr.row")).to_have_count(200)
        assert overflow(page) == 0
        assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("size", SIZES)
def test_a_tree_opens_further_is_searched_and_copied(browser: Browser, site: Site, size: str) -> None:
    with Visit(browser, site, viewport=SIZES[size], permissions=["clipboard-read", "clipboard-write"]) as page:
        page.goto("/api-requests?field.postalcode=1505&host=krill.example&user=crm-norte&method=PATCH")
        page.get_by_role("button", name="Detalles").first.click()
        data = page.locator(".payload", has=page.get_by_role("heading", name="Datos"))
        expect(data).to_contain_text("cortado por su tamaño")
        data.locator("[data-way=list] > details > summary").click()
        data.get_by_role("link", name="160 más").click()
        expect(data.locator("[data-way='list[79]']")).to_be_visible()
        expect(data.get_by_role("link", name="120 más")).to_be_visible()

        data.get_by_role("searchbox").fill("60")
        page.keyboard.press("Enter")
        expect(data.get_by_text("valores encontrados")).to_be_visible()
        expect(data.locator("[data-way='customer.phones[0]']").last).to_be_visible()
        data.get_by_role("searchbox").fill("")
        page.keyboard.press("Enter")
        expect(data.locator(".t-results")).to_have_count(0)

        leaf = data.locator("[data-way='customer.postalcode']")
        leaf.locator("a.t-value").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(leaf.get_by_role("button", name="Copiar el valor")).to_be_focused()
        for button, wanted in (("Copiar el valor", "1505"), ("Copiar la ruta del valor", "customer.postalcode")):
            leaf.get_by_role("button", name=button).click()
            page.wait_for_function("text => navigator.clipboard.readText().then(held => held === text)", arg=wanted)

        leaf.locator("a.t-out").click()
        page.wait_for_url(re.compile(r"-field\.postalcode=1505"))
        page.go_back()
        page.locator("[data-way='customer.vip'] a.t-value").click()
        page.wait_for_url(re.compile(r"field\.vip=true"))
        expect(page.locator("tr.row")).to_have_count(1)


def test_without_scripts_trees_open_filter_and_search(browser: Browser, site: Site) -> None:
    with Visit(browser, site, java_script_enabled=False) as page:
        page.goto(f"/api-requests/{WIDE}")
        page.locator("[data-way=list] > details > summary").click()
        page.get_by_role("link", name="100 más").click()
        expect(page.locator("[data-way='list[100]']")).to_be_visible()
        page.get_by_role("searchbox").fill("vip")
        page.keyboard.press("Enter")
        page.locator("[data-way='customer.vip'] a.t-value").click()
        page.wait_for_url("**/api-requests?field.vip=true")
        page.goto("/api-requests?live=1")
        expect(page.get_by_text("Sin scripts la página no se renueva sola")).to_be_visible()
        expect(page.get_by_role("button", name="Pausa")).to_be_hidden()


def test_keys_go_on_from_the_opened_row_across_the_ends_of_a_page(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        page.goto("/api-requests?user=hostile&per_page=25")
        ids = page.locator("a.toggle").evaluate_all("all => all.map(one => one.dataset.id)")
        page.keyboard.press("j")
        page.get_by_role("button", name="Detalles").nth(23).click()
        expect(page.locator(".detail-row")).to_be_visible()
        page.keyboard.press("j")
        page.wait_for_url(f"**open={ids[24]}")
        expect(page.locator(".detail-row")).to_have_count(1)
        expect(page.get_by_role("button", name="Detalles").nth(24)).to_be_focused()
        page.keyboard.press("j")
        page.wait_for_url("**&page=2&**")  # not `per_page=25`, which is there before the key is pressed
        first = page.locator("a.toggle").first.get_attribute("data-id")
        assert page.url.endswith(f"open={first}")
        expect(page.locator(".detail-row")).to_have_count(1)
        page.keyboard.press("k")
        page.wait_for_url(f"**open={ids[24]}")
        page.get_by_label("Teclas j y k").uncheck()
        page.keyboard.press("k")
        page.reload()
        expect(page.get_by_label("Teclas j y k")).not_to_be_checked()
        assert page.url.endswith(f"open={ids[24]}")


def rows(page: Page) -> int:
    return page.locator("tr.is-new").count()


@pytest.mark.parametrize(("size", "language"), [("desktop", "es"), ("phone", "en")])
def test_a_report_is_live_until_paused(browser: Browser, site: Site, size: str, language: str) -> None:
    site.client.command("TRUNCATE TABLE pipeline_status")
    worker = Worker(site.client)
    worker.ends[0] = 1000 if size == "desktop" else 5000
    worker.say()
    user = f"live-{size}"
    pause, new, left = (
        ("Pausa", "Filas nuevas", "Sin mostrar") if language == "es" else ("Pause", "New rows", "Not shown")
    )
    with Visit(browser, site, viewport=SIZES[size]) as page:
        if language == "en":
            post(site.user(), "/language", {"language": "en"})
        try:
            page.goto(f"/api-requests?user={user}&live=1")
            worker.store(2, user=user)
            worker.store(1, user="another")
            expect(page.locator("tr.is-new")).to_have_count(2, timeout=15_000)
            expect(page.locator(".live-count")).to_have_text(f"{new}: 2")
            page.locator("a.toggle").first.click()
            expect(page.locator(".detail-row")).to_be_visible()
            page.get_by_role("button", name=pause).click()
            assert "live=paused" in page.url
            worker.store(60, user=user)
            page.wait_for_timeout(2500)
            assert rows(page) == 2
            page.get_by_role("button", name=pause).click()
            expect(page.locator("tr.is-new")).to_have_count(52, timeout=15_000)
            expect(page.locator(".live-count")).to_have_text(f"{new}: 52 · {left}: 10")
            expect(page.locator(".detail-row")).to_be_visible()
            # A tab that is not seen asks for nothing.
            page.evaluate("""() => {
                Object.defineProperty(document, "hidden", {value: true, configurable: true});
                document.dispatchEvent(new Event("visibilitychange"));
            }""")
            worker.store(1, user=user)
            page.wait_for_timeout(2500)
            assert rows(page) == 52
            page.evaluate("""() => {
                Object.defineProperty(document, "hidden", {value: false, configurable: true});
                document.dispatchEvent(new Event("visibilitychange"));
            }""")
            expect(page.locator("tr.is-new")).to_have_count(53, timeout=15_000)
            assert overflow(page) == 0
            page.reload()
            expect(page.locator("tr.row")).to_have_count(63)
        finally:
            post(site.user(), "/language", {"language": "es"})


def test_a_history_of_ten_thousand_entries_turns_its_pages(browser: Browser, site: Site) -> None:
    with Visit(browser, site, viewport=SIZES["phone"]) as page:
        page.goto(f"/objects/cpe/{MANY}")
        expect(page.get_by_text(re.compile(r"^10\.?000 entradas"))).to_be_visible()
        seen = set(page.locator(".entry-open").evaluate_all("all => all.map(one => one.href)"))
        page.get_by_role("link", name="Más antiguo").click()
        page.wait_for_url("**before=**")
        more = set(page.locator(".entry-open").evaluate_all("all => all.map(one => one.href)"))
        assert len(seen) == len(more) == 50
        assert not seen & more
        assert overflow(page) == 0


def test_on_paper_nothing_is_folded_and_nothing_is_to_be_clicked(browser: Browser, site: Site) -> None:
    with Visit(browser, site, viewport={"width": 794, "height": 1123}, color_scheme="dark") as page:
        page.emulate_media(media="print")
        page.goto(f"/api-requests/{CRASH}")
        expect(page.locator(".raised pre")).to_be_visible()
        for path in (f"/api-requests/{CRASH}", f"/admin-changes/{TEXT}", "/api-requests?per_page=25&live=1"):
            page.goto(path)
            page.wait_for_load_state("load")
            for hidden in (".bar", ".copies", ".live", ".t-find", ".actions", ".filters"):
                for one in page.locator(hidden).all():
                    expect(one).to_be_hidden()
            assert overflow(page) == 0
            assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
