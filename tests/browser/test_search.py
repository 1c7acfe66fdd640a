"""The search bar in Chromium: typing, completing, errors, dates; and that an address restores exactly the same view."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import site as sites
from tests.browser import axe
from tests.browser.visit import SIZES, Visit, overflow
from tests.site import Site


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made, sites.listening(made) as site:
        yield site


def asked(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query, keep_blank_values=True)


@pytest.mark.parametrize(
    ("size", "language", "typed", "name", "value", "error"),
    [
        ("desktop", "Español", "usu", "usuario:", "usuario:phicustester", "¿Querías decir «estado:»?"),
        ("phone", "English", "us", "user:", "user:phicustester", "Did you mean “estado:”?"),
    ],
)
def test_the_bar_completes_by_keyboard_and_says_what_is_wrong(
    browser: Browser, site: Site, size: str, language: str, typed: str, name: str, value: str, error: str
) -> None:
    user = f"{language}-{size}"
    site.app.extensions["krill_logger"].accounts.create_user(user, sites.PASSWORD)
    with Visit(browser, site, user=user, viewport=SIZES[size], bypass_csp=True) as page:
        page.locator(".user-menu summary").click()
        page.get_by_role("button", name=language).click()
        page.goto("/api-requests")
        bar = page.get_by_role("combobox", name=re.compile("^(Buscar|Search)$"))
        expect(bar).to_have_attribute("aria-expanded", "false")
        page.locator("h1").click()
        page.keyboard.press("/")
        expect(bar).to_be_focused()
        bar.press_sequentially(typed)
        expect(page.get_by_role("option", name=re.compile(f"^{name}"))).to_be_visible()
        expect(bar).to_have_attribute("aria-expanded", "true")
        page.keyboard.press("Escape")
        expect(bar).to_have_attribute("aria-expanded", "false")
        expect(bar).to_have_value(typed)
        page.keyboard.press("ArrowDown")
        first = page.get_by_role("listbox").get_by_role("option").first
        expect(first).to_be_visible()
        page.keyboard.press("ArrowDown")
        expect(first).to_have_attribute("aria-selected", "true")
        expect(bar).to_have_attribute("aria-activedescendant", str(first.get_attribute("id")))
        assert axe.problems(page) == []
        assert overflow(page) == 0
        page.keyboard.press("Enter")
        expect(bar).to_have_value(name)
        bar.press_sequentially("phic")
        expect(page.get_by_role("option", name=value)).to_be_visible()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        expect(bar).to_be_focused()
        expect(bar).to_have_value(f"{value} ")
        bar.press_sequentially("estdo:200")
        page.keyboard.press("Enter")
        expect(page.locator(".search-errors")).to_contain_text(error)
        expect(bar).to_have_value(f"{value} estdo:200")
        expect(bar).to_be_focused()
        assert bar.evaluate("e => e.value.slice(e.selectionStart, e.selectionEnd)") == "estdo:"
        assert axe.problems(page) == []
        assert overflow(page) == 0
        page.locator(".search-errors a").click()
        page.wait_for_url("**/api-requests?user=phicustester&status_code=200")
        expect(bar).to_have_value(f"{value} {'estado' if language == 'Español' else 'status'}:200")
        expect(page.locator("tr.row")).to_have_count(1)


def test_a_suggestion_is_chosen_with_the_pointer_in_the_middle_of_a_text(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        page.goto("/api-requests?q=🎉")
        bar = page.get_by_role("combobox", name="Buscar")
        bar.fill("🎉 usuario:cr -método:GET")
        bar.evaluate("e => e.setSelectionRange(13, 13)")
        page.keyboard.type("m")
        page.get_by_role("option", name="usuario:crm-norte").click()
        expect(bar).to_have_value("🎉 usuario:crm-norte -método:GET")
        expect(bar).to_be_focused()
        expect(page.get_by_role("listbox")).to_be_hidden()


def test_a_suggestion_replaces_the_whole_word_however_slow_the_network(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        page.goto("/api-requests")
        bar = page.get_by_role("combobox", name="Buscar")
        option = page.get_by_role("option", name="usuario:phicustester")
        bar.fill(" -método:GET")
        bar.evaluate("e => e.setSelectionRange(0, 0)")
        page.keyboard.type("usuario:p")
        expect(option).to_be_visible()
        # No answer comes for what is typed from now on.
        page.route("**/complete?*", lambda route: route.abort())
        page.keyboard.type("hic")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        expect(bar).to_have_value("usuario:phicustester -método:GET")
        page.unroute("**/complete?*")

        for wrong in (" ", "Backspace"):
            bar.fill("usuario:p")
            expect(option).to_be_visible()
            page.route("**/complete?*", lambda route: route.abort())
            page.keyboard.press(wrong)
            expect(option).to_be_hidden()
            page.unroute("**/complete?*")

        bar.fill("usuario:p")
        expect(option).to_be_visible()
        page.keyboard.press("ArrowDown")
        expect(option).to_have_attribute("aria-selected", "true")
        with page.expect_response("**/complete?*"):
            page.keyboard.type("h")
        page.keyboard.press("Tab")
        expect(bar).to_have_value("usuario:phicustester ")


def test_the_bar_the_panel_and_the_url_say_the_same(browser: Browser, site: Site) -> None:
    with Visit(browser, site) as page:
        page.goto("/api-requests")
        bar = page.get_by_role("combobox", name="Buscar")
        bar.fill("usuario:crm-a estado:5xx -método:GET fecha:2026-10-24..2026-10-26 cpename:pim*")
        bar.press("Enter")
        page.wait_for_url("**/api-requests?user=crm-a&*")
        assert asked(page) == {
            "user": ["crm-a"],
            "status_code": ["500..599"],
            "-method": ["GET"],
            "from": ["2026-10-24T00:00:00+02:00"],
            "to": ["2026-10-27T00:00:00+01:00"],
            "field.cpename": ["pim*"],
        }
        page.locator(".panel > summary").click()
        expect(page.locator("input[name=user]").first).to_have_value("crm-a")
        expect(page.get_by_label("5xx", exact=True)).to_be_checked()
        page.get_by_label("5xx", exact=True).uncheck()
        page.get_by_role("button", name="Aplicar filtros").click()
        page.wait_for_url(lambda url: "status_code" not in url)
        for part in ("usuario:crm-a", "-método:GET", "fecha:2026-10-24..2026-10-26", "cpename:pim*"):
            assert part in bar.input_value().split()
        assert "estado" not in bar.input_value()
        page.get_by_role("link", name=re.compile("cpename")).click()
        page.wait_for_url(lambda url: "cpename" not in url)
        assert "cpename" not in bar.input_value()


def test_the_bar_works_without_scripts(browser: Browser, site: Site) -> None:
    with Visit(browser, site, java_script_enabled=False) as page:
        page.goto("/api-requests?sort=user")
        page.locator("#search").fill("usuario:phicustester postalcode:1505")
        page.get_by_role("button", name="Buscar").click()
        page.wait_for_url("**/api-requests?user=phicustester&field.postalcode=1505&sort=user")
        expect(page.locator("tr.row")).to_have_count(1)
        page.locator("#search").fill("usuario:")
        page.get_by_role("button", name="Buscar").click()
        expect(page.locator(".search-errors mark")).to_have_text("usuario:")


@pytest.mark.parametrize("size", SIZES)
def test_dates_are_typed_as_people_say_them_and_can_be_fixed(browser: Browser, site: Site, size: str) -> None:
    with Visit(browser, site, viewport=SIZES[size], bypass_csp=True) as page:
        page.goto("/admin-changes")
        dates = page.locator(".range-menu > summary")
        dates.click()
        page.get_by_role("link", name="Ayer").click()
        page.wait_for_url("**/admin-changes?from=now-1d/d&to=now/d")
        expect(dates).to_have_text("ayer")
        expect(page.get_by_role("combobox", name="Buscar")).to_have_value("fecha:ayer")
        dates.click()
        expect(page.get_by_label("Desde", exact=True)).to_have_value("ayer")
        page.get_by_label("Desde", exact=True).fill("22/11/2026")
        page.get_by_label("Hasta, sin incluir").fill("2026-11-23")
        page.get_by_role("button", name="Aplicar", exact=True).click()
        page.wait_for_url("**/admin-changes?from=2026-11-22T00:00:00%2B01:00&to=2026-11-23T00:00:00%2B01:00")
        expect(page.get_by_role("combobox", name="Buscar")).to_have_value("fecha:2026-11-22")
        expect(page.locator("tr.row")).to_have_count(2)
        page.goto("/admin-changes?from=now-30d")
        dates.click()
        expect(page.get_by_role("button", name="Elegir en un calendario")).to_have_count(2)
        assert axe.problems(page) == []
        assert overflow(page) == 0
        page.get_by_role("link", name="Como fechas fijas").click()
        page.wait_for_url(re.compile(r"from=20[-\d]+T[\d:]+%2B0[12]:00&to=20[-\d]+T"))
        dates.click()
        page.get_by_label("Desde", exact=True).fill("gestern")
        page.get_by_role("button", name="Aplicar", exact=True).click()
        expect(page.get_by_label("Desde", exact=True)).to_have_value("gestern")
        expect(page.locator("#error-from")).to_contain_text("«gestern» no se puede usar aquí")


def seen(page: Page) -> dict[str, Any]:
    """Everything that a reader sees of a list, but for how long it took."""
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    rows = page.locator("tr.row").all_inner_texts()
    return {
        "rows": rows,
        "bar": page.locator("#search").input_value(),
        "chips": page.locator(".chip").all_inner_texts(),
        "dates": page.locator(".range-menu > summary").inner_text(),
        "facets": page.locator(".facet-list").all_inner_texts(),
        "bars": page.locator(".histogram .plot a").evaluate_all("all => all.map(bar => bar.getAttribute('href'))"),
        "open": page.locator("tr.detail-row").count(),
        "order": page.locator("th[aria-sort]:not([aria-sort=none])").all_inner_texts(),
        "fields": page.locator(".panel-form input:not([type=hidden])").evaluate_all(
            "all => all.map(field => field.type === 'checkbox' ? field.checked : field.value)"
        ),
        "selects": page.locator(".pager select").evaluate_all("all => all.map(select => select.value)"),
    }


@pytest.mark.parametrize("size", SIZES)
def test_back_reload_and_a_link_restore_exactly_the_same_view(browser: Browser, site: Site, size: str) -> None:
    with Visit(browser, site, viewport=SIZES[size]) as page:
        page.goto("/api-requests")
        page.locator("#search").fill('usuario:crm-* -método:GET fecha:2026-10-24..2026-10-26 "pim0"')
        page.locator("#search").press("Enter")
        page.wait_for_url("**/api-requests?user=crm-*&*")
        if not page.locator("details.facets").evaluate("e => e.open"):
            page.locator(".facets > summary").click()
        page.get_by_role("region", name="Estado").get_by_role("link", name="200", exact=True).click()
        page.wait_for_url(lambda url: "status_code=200" in url)
        page.locator(".facets > summary").click() if size == "desktop" else None
        page.get_by_label("Filas por página").first.select_option("25")
        page.wait_for_url(lambda url: "per_page=25" in url)
        page.locator(".toggle").first.click()
        expect(page.locator(".detail-row")).to_be_visible()
        if size == "phone" and not page.locator("details.facets").evaluate("e => e.open"):
            page.locator(".facets > summary").click()
            expect(page.locator(".facet-list")).to_be_visible()
        before, here = seen(page), page.url
        assert len(before["rows"]) == 25
        assert before["open"] == 1
        assert bool(before["facets"]) == (size == "phone")
        page.reload()
        assert seen(page) == before
        page.goto("/trends")
        page.go_back()
        assert page.url == here
        assert seen(page) == before
    # A colleague, whose browser has kept nothing.
    with Visit(browser, site, viewport=SIZES[size]) as page:
        page.goto(here)
        assert seen(page) == before
        assert page.url == here


def test_a_phone_sorts_without_headings(browser: Browser, site: Site) -> None:
    with Visit(browser, site, viewport=SIZES["phone"], bypass_csp=True) as page:
        page.goto("/api-requests?user=crm-a")
        expect(page.locator("thead")).to_be_hidden()
        page.get_by_label("Orden:").select_option("-response_ms")
        page.wait_for_url("**/api-requests?user=crm-a&sort=-response_ms")
        expect(page.get_by_label("Orden:")).to_have_value("-response_ms")
        times = page.locator("td.c-ms").all_inner_texts()
        shown = [float(re.sub(r"[^\d,]", "", text).replace(",", ".")) for text in times]
        assert shown == sorted(shown, reverse=True)
        assert axe.problems(page) == []
        assert overflow(page) == 0
        page.set_viewport_size(SIZES["desktop"])
        expect(page.get_by_label("Orden:")).to_be_hidden()
