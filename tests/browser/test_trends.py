"""Trends, what makes the slow ones slow, and integrations in Chromium: pointer, keyboard, phone, both languages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.integrations import path_to
from tests import site as sites
from tests.browser import axe
from tests.browser.visit import LOOKS, SIZES, Visit, overflow, reader
from tests.integration import report_data
from tests.integration.test_integrations import NAMES, RANGE, USER
from tests.integration.test_integrations import ROWS as INTEGRATION_ROWS
from tests.integration.test_slowest import ROWS as SLOW_ROWS
from tests.site import Site

DAY = "from=2026-11-12T00:00&to=2026-11-13T00:00"
PERIOD = f"from={RANGE['from']}&to={RANGE['to']}"
ONE = f"{path_to(USER)}?{PERIOD}"
PAGES = (
    f"/trends?{DAY}&compare=previous",
    f"/trends?{DAY}&by=user&compare=week&table=users&sort=-p95_change",
    "/trends?from=2026-11-10&to=2026-11-12&interval=day",
    "/trends?compare=x&table=y",
    f"/integrations?{PERIOD}&compare=week",
    "/integrations?from=2020-01-01&to=2020-01-02",
    ONE,
    f"{path_to(sites.SCRIPT)}?{PERIOD}",
    "/integrations/nobody?gap=x",
    "/api-requests/slowest?from=2026-11-10&to=2026-11-12",
    "/api-requests/slowest?slow=x",
)


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made, sites.listening(made) as site:
        report_data.insert(site.client, "api_requests", INTEGRATION_ROWS)
        report_data.insert(site.client, "api_requests", SLOW_ROWS)
        yield site


def loaded(page: Page, path: str) -> None:
    page.goto(path)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


@pytest.mark.parametrize(("size", "scheme", "language"), LOOKS)
def test_axe_finds_nothing_and_no_page_is_too_wide(
    browser: Browser, site: Site, size: str, scheme: str, language: str
) -> None:
    with Visit(
        browser, site, reader(site, language), viewport=SIZES[size], color_scheme=scheme, bypass_csp=True
    ) as page:
        for path in PAGES:
            loaded(page, path)
            assert axe.problems(page) == [], path
            assert overflow(page) == 0, path
            assert page.evaluate("window.hacked") is None, path


def test_a_click_on_an_interval_leads_to_its_requests(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        loaded(page, f"/trends?{DAY}&user={USER.replace('#', '%23')}")
        hit = page.locator(".chart").nth(1).locator(".hit").nth(9)
        hit.hover()
        tip = page.locator(".tip").nth(1)
        expect(tip).to_contain_text("09:00")
        count = int(
            page.locator(".chart")
            .first.locator("a")
            .nth(9)
            .get_attribute("aria-label")
            .split("Peticiones: ")[1]
            .split(",")[0]
        )  # type: ignore[union-attr]
        hit.click()
        page.wait_for_url("**/api-requests?**")
        assert parse_qs(urlsplit(page.url).query) == {
            "user": [USER],
            "from": ["2026-11-12T09:00:00+01:00"],
            "to": ["2026-11-12T10:00:00+01:00"],
        }
        expect(page.locator("tr.row")).to_have_count(min(count, 100))
        page.go_back()
        expect(page.locator(".chart").first.locator(".hit")).to_have_count(24)


def test_the_keyboard_reaches_intervals_and_ranges_of_them(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        loaded(page, f"/trends?{DAY}")
        chart = page.locator(".chart").first
        chart.locator("a").last.focus()
        page.keyboard.press("Home")
        for _ in range(9):
            page.keyboard.press("ArrowRight")
        expect(chart.locator("a").nth(9)).to_be_focused()
        expect(page.locator(".tip").first).to_contain_text("09:00")
        page.keyboard.press("Shift+ArrowRight")
        expect(chart.locator(".is-selected")).to_have_count(2)
        page.keyboard.press("Enter")
        page.wait_for_url("**/api-requests?**")
        asked = parse_qs(urlsplit(page.url).query)
        assert asked["from"] == ["2026-11-12T09:00:00+01:00"]
        assert asked["to"] == ["2026-11-12T11:00:00+01:00"]
        page.go_back()
        chart.locator("a").last.focus()
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "T23:00:00" in url)


def test_a_comparison_is_told_in_words_and_kept_by_the_url(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        loaded(page, "/trends?from=2026-11-11&to=2026-11-12&interval=day")
        page.get_by_label("Comparar con").select_option(label="El periodo anterior")
        page.get_by_role("button", name="Mostrar").click()
        page.wait_for_url("**compare=previous**")
        expect(page.get_by_text("Comparado con 10/11/2026 00:00 – 11/11/2026 00:00.")).to_be_visible()
        expect(page.locator(".trend-figures")).to_contain_text("menos (")
        before = page.locator(".chart").first.locator(".line.before")
        expect(before).to_have_count(1)
        assert before.evaluate("e => getComputedStyle(e).strokeDasharray") != "none"
        page.get_by_role("link", name="Cambio en p95").click()
        page.wait_for_url("**sort=-p95_change**")
        expect(page.locator("th[aria-sort=descending]").first).to_contain_text("Cambio en p95")
        page.locator(".tabs").get_by_role("link", name="Integraciones").click()
        page.wait_for_url("**table=users**")
        expect(page.locator("table.ranking")).to_contain_text("crm-slow/*")
        page.reload()
        expect(page.locator(".tabs [aria-current=true]")).to_have_text("Integraciones")
        expect(page.get_by_label("Comparar con")).to_have_value("previous")


def test_what_stands_out_comes_after_the_page_and_leads_to_its_requests(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        loaded(page, "/trends?from=2026-11-10&to=2026-11-12&interval=day")
        table = page.get_by_role("region", name="Valores que destacan")
        expect(table).to_contain_text("04:00–05:00")
        row = table.get_by_role("row", name="Usuario crm-slow/*")
        slow = int(row.get_by_role("cell").nth(4).inner_text())
        row.get_by_role("link").click()
        page.wait_for_url("**sort=-response_ms**")
        expect(page.locator("tr.row")).to_have_count(min(slow, 100))
        page.get_by_role("link", name="¿Qué tienen en común las más lentas?").click()
        page.wait_for_url("**/api-requests/slowest?**")
        page.get_by_label("Tiempo de respuesta de las lentas (ms)").fill(">=930")
        page.get_by_role("button", name="Aplicar").click()
        page.wait_for_url("**slow=**")
        expect(page.get_by_text("están en el rango de duración elegido")).to_be_visible()


@pytest.mark.parametrize("size", SIZES)
def test_from_the_menu_to_an_integration_and_its_first_failure(browser: Browser, site: Site, size: str) -> None:
    with Visit(browser, site, viewport=SIZES[size]) as page:
        page.goto("/")
        page.get_by_role("link", name="Integraciones").click()
        page.wait_for_url("**/integrations")
        loaded(page, f"/integrations?{PERIOD}")
        page.get_by_role("link", name=USER, exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(USER)
        loaded(page, ONE)
        failures = page.get_by_role("region", name="Errores, por tipo")
        expect(failures).to_contain_text("krill.OltError: no OLT “…” at #")
        runs = page.get_by_role("region", name="Tandas")
        expect(runs.get_by_role("row")).to_have_count(4)
        page.get_by_label("Una tanda acaba tras una pausa de").select_option(label="1 hora")
        page.get_by_role("button", name="Mostrar").click()
        page.wait_for_url("**gap=3600**")
        first = runs.get_by_role("link", name="Detalles").last
        first.click()
        page.wait_for_url("**/api-requests/*-*")
        page.get_by_role("link", name=f"Integración {USER}").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(USER)
        assert overflow(page) == 0


def test_every_name_opens_from_the_list(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        for name in (".", "..", "a//b", "/a", "a/../b", "~x", "%2F", "a?b=c#d", "", sites.ATTRIBUTE, "a\\b"):
            assert name in NAMES
            loaded(page, f"/integrations?{PERIOD}&sort=name&per_page=500")
            target = path_to(name)
            page.locator("table.ranking a").evaluate_all(
                "(links, target) => links.find(link => link.getAttribute('href') === target).click()", target
            )
            page.wait_for_url(lambda url, target=target: urlsplit(url).path == target)
            expect(page.get_by_role("heading", level=1)).to_have_text(name or "(vacío)")
            loaded(page, f"{target}?{PERIOD}")
            expect(page.locator(".trend-figures dd").first).to_have_text("1")


def test_tables_and_forms_work_without_scripts(browser: Browser, site: Site) -> None:
    with Visit(browser, site, java_script_enabled=False) as page:
        page.goto(f"/trends?{DAY}")
        page.locator(".chart").first.locator("a").nth(9).click()
        page.wait_for_url("**/api-requests?**")
        page.go_back()
        page.get_by_role("link", name="¿Qué tienen en común las más lentas?").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("¿Qué tienen en común las más lentas?")
        page.goto(f"/integrations?{PERIOD}")
        page.get_by_role("link", name="Tasa de errores").click()
        page.wait_for_url("**sort=-error_rate")
        page.get_by_label("Usuario").fill("crm-*")
        page.get_by_role("button", name="Mostrar").click()
        page.wait_for_url("**user=crm-\\*")


def test_printing_leaves_the_controls_out(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        loaded(page, ONE)
        page.emulate_media(media="print")
        expect(page.locator("table.failures")).to_be_visible()
        for selector in (".bar", ".trend-form", ".quick-row", ".actions"):
            expect(page.locator(selector)).to_be_hidden()


def test_times_are_the_readers(browser: Browser, site: Site) -> None:
    first = min(row["requested_at"] for row in INTEGRATION_ROWS if row["user"] == USER)
    assert first.tzinfo is dt.UTC
    with Visit(browser, site) as page:
        loaded(page, f"{ONE}&tz=Asia/Tokyo")
        last = page.get_by_role("region", name="Tandas").locator("tbody th").last
        expect(last).to_have_text((first + dt.timedelta(hours=9)).strftime("%d/%m/%Y %H:%M:%S"))
