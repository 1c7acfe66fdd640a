"""What users make of the reports, in Chromium: columns, density, saved views, exports, and the guide."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from dashboard.views import guide as pages
from deploy import guide
from tests import site as sites
from tests.browser import axe
from tests.browser.visit import LOOKS, READERS, SIZES, Visit, overflow
from tests.site import Site

WORDS = {
    "es": {
        "columns": "Columnas",
        "apply": "Aplicar",
        "compact": "Compacta",
        "ago": "Hace cuánto",
        "up": "Subir Método",
        "method": "Método",
        "views": "Vistas",
        "name": "Guardar esta lista como",
        "shared": "Compartirla con todos",
        "first": "Abrir el reporte con ella",
        "save": "Guardar la vista",
        "all": "Todas las filas, sin filtros",
        "export": "Exportar",
        "csv": "Archivo CSV",
        "zip": "con manifiesto (ZIP) CSV",
        "done": "Listo: 1 filas. SHA-256: ",
        "manage": "Todas las vistas",
        "delete": "Eliminar",
    },
    "en": {
        "columns": "Columns",
        "apply": "Apply",
        "compact": "Compact",
        "ago": "How long ago",
        "up": "Move Method up",
        "method": "Method",
        "views": "Views",
        "name": "Save this list as",
        "shared": "Share it with everybody",
        "first": "Open the report with it",
        "save": "Save the view",
        "all": "All rows, without filters",
        "export": "Export",
        "csv": "CSV file",
        "zip": "with manifest (ZIP) CSV",
        "done": "Done: 1 rows. SHA-256: ",
        "manage": "All views",
        "delete": "Delete",
    },
}


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    target = tmp_path_factory.mktemp("help") / "guide"
    guide.build(target=target)
    with (
        pytest.MonkeyPatch.context() as patch,
        sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made,
        sites.listening(made) as site,
    ):
        patch.setattr(pages, "GUIDE", target)
        pages._index.cache_clear()
        yield site
    pages._index.cache_clear()


@pytest.fixture
def user(site: Site, request: pytest.FixtureRequest) -> str:
    """A user of the test's own."""
    name = re.sub(r"\W", "-", request.node.name)[:100]
    site.app.extensions["krill_logger"].accounts.create_user(name, sites.PASSWORD)
    return name


def speak(site: Site, user: str, language: str) -> dict[str, str]:
    """The words of the pages, in the language that the user has from now on."""
    site.app.extensions["krill_logger"].accounts.set_preferences(user, language=language)
    return WORDS[language]


@pytest.mark.parametrize(("size", "language"), READERS)
def test_columns_are_chosen_and_moved_by_keyboard(
    browser: Browser, site: Site, user: str, size: str, language: str
) -> None:
    with Visit(browser, site, user=user, viewport=SIZES[size]) as page:
        words = speak(site, user, language)
        page.goto("/api-requests?user=phicustester")
        page.locator(".look-menu > summary").focus()
        page.keyboard.press("Enter")
        up = page.get_by_role("button", name=words["up"], exact=True)
        for _ in range(5):
            up.press("Enter")
            expect(up).to_be_focused()
        expect(page.locator("[data-order-said]")).to_have_text(re.compile(f"^{words['method']}: .* 1$"))
        for name in ("host", "view", "remote_addr"):
            page.locator(f".order input[value={name}]").press("Space")
        page.locator(".order input[value=errors]").check()
        page.locator(".look-form [name=density]").select_option(label=words["compact"])
        page.locator(".look-form [name=times]").select_option(label=words["ago"])
        page.get_by_role("button", name=words["apply"], exact=True).first.click()
        columns = "method,requested_at,user,response_ms,status_code,path,errors"
        page.wait_for_url(f"**/api-requests?user=phicustester&columns={columns}&density=compact&times=relative")
        shown = page.locator("tr.row td").evaluate_all("cells => cells.map(cell => cell.className)")
        assert shown[1:4] == ["c-method", "c-time", "c-user"]
        assert page.locator("tr.row time").inner_text().startswith("hace " if language == "es" else "")
        assert page.locator("tr.row time").get_attribute("title")
        assert overflow(page) == 0
        here = page.url
        page.reload()
        assert page.url == here
        page.go_back()
        expect(page.locator("tr.row td")).to_have_count(10)


def test_columns_are_chosen_and_moved_without_scripts(browser: Browser, site: Site, user: str) -> None:
    with Visit(browser, site, user=user, java_script_enabled=False) as page:
        page.goto("/admin-changes?user=ignacio")
        page.locator(".look-menu > summary").click()
        page.get_by_role("button", name="Subir Objeto", exact=True).click()
        page.wait_for_url("**columns=changed_at,user,action,object_repr,model,changed_fields*")
        page.locator(".order input[value=object_id]").check()
        page.get_by_role("button", name="Aplicar", exact=True).first.click()
        page.wait_for_url("**columns=changed_at,user,action,object_repr,model,changed_fields,object_id")
        expect(page.locator("thead th")).to_have_count(8)


@pytest.mark.parametrize(("size", "language"), READERS)
def test_a_view_is_saved_made_the_first_and_left_again(
    browser: Browser, site: Site, user: str, size: str, language: str
) -> None:
    name = f"<b>{user}</b> \u202e"
    with Visit(browser, site, user=user, viewport=SIZES[size]) as page:
        words = speak(site, user, language)
        page.goto("/api-requests?user=crm-a&method=PATCH&sort=-response_ms")
        page.locator(".views-menu > summary").click()
        page.get_by_label(words["name"]).fill(name)
        page.get_by_text(words["shared"]).click()
        page.get_by_text(words["first"]).click()
        page.get_by_role("button", name=words["save"]).click()
        view = "/api-requests?user=crm-a&method=PATCH&sort=-response_ms"
        page.wait_for_url(f"**{view}")
        expect(page.get_by_role("status").first).to_contain_text("<b>")
        assert overflow(page) == 0
        page.goto("/")
        page.locator("nav a[href='/api-requests']").click()
        page.wait_for_url(f"**{view}")
        page.locator(".views-menu > summary").click()
        expect(page.locator(".view-list [aria-current=page]")).to_contain_text(user)
        assert overflow(page) == 0
        page.get_by_role("link", name=words["all"]).click()
        page.wait_for_url("**/api-requests?sort=-requested_at")
        expect(page.locator(".chips")).to_have_count(0)
        page.go_back()
        page.wait_for_url(f"**{view}")
        page.goto("/views")
        assert overflow(page) == 0
        mine = page.locator(".views > li", has_text=user)
        expect(mine).to_have_count(1)
        mine.get_by_role("button", name=words["delete"]).click()
        expect(page.locator(".views > li", has_text=user)).to_have_count(0)
        page.goto("/api-requests")
        assert page.url.endswith("/api-requests")


def test_a_shared_view_is_the_same_for_a_colleague(browser: Browser, site: Site, user: str) -> None:
    saved = site.app.extensions["krill_logger"].saved
    saved.save(user, "api-requests", "Shared one", "user=crm-b&columns=user,path&density=compact", shared=True)
    rows = []
    for who in (user, sites.USER):
        with Visit(browser, site, user=who) as page:
            page.goto("/api-requests")
            page.locator(".views-menu > summary").click()
            page.get_by_role("link", name="Shared one").click()
            page.wait_for_url("**/api-requests?user=crm-b&columns=user,path&density=compact")
            rows.append(page.locator("table.rows").inner_text())
    assert rows[0] == rows[1]


@pytest.mark.parametrize(("size", "language"), READERS)
def test_an_export_tells_how_far_it_is(
    browser: Browser, site: Site, user: str, size: str, language: str, tmp_path: Path
) -> None:
    with Visit(browser, site, user=user, viewport=SIZES[size]) as page:
        words = speak(site, user, language)
        page.goto("/api-requests?user=phicustester&columns=user,path")
        page.locator(".export-menu > summary").click()
        assert overflow(page) == 0
        with page.expect_download() as started:
            page.get_by_role("link", name=words["csv"], exact=True).click()
        started.value.save_as(tmp_path / "rows.csv")
        content = (tmp_path / "rows.csv").read_bytes()
        assert content.count(b"\r\n") == 2
        expect(page.locator(".export-said")).to_have_text(words["done"] + hashlib.sha256(content).hexdigest())
        expect(page.locator(".export-progress")).to_be_hidden()
        with page.expect_download() as started:
            page.get_by_role("link", name=words["zip"], exact=True).click()
        started.value.save_as(tmp_path / "rows.zip")
        with zipfile.ZipFile(tmp_path / "rows.zip") as archive:
            file, manifest = archive.namelist()
            assert archive.read(file) == content
            assert json.loads(archive.read(manifest))["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_long_export_shows_its_progress(browser: Browser, site: Site, user: str) -> None:
    site.client.command(
        "INSERT INTO api_requests (event_id, requested_at, user, data, kafka_offset) SELECT generateUUIDv4(number), "
        "now64(3), 'long', repeat('x', 3000), number FROM numbers(20000)"
    )
    with Visit(browser, site, user=user) as page:
        page.goto("/api-requests?user=long")
        page.locator(".export-menu > summary").click()
        with page.expect_download():
            page.get_by_role("link", name="Archivo JSON Lines", exact=True).click()
        expect(page.locator(".export-said")).to_have_text(re.compile(r"^[\d.]+ de 20\.000 filas$"))
        expect(page.get_by_role("progressbar")).to_be_visible()
        expect(page.locator(".export-said")).to_contain_text("Listo: 20.000 filas", timeout=60_000)


def test_an_export_works_without_scripts(browser: Browser, site: Site, user: str, tmp_path: Path) -> None:
    with Visit(browser, site, user=user, java_script_enabled=False) as page:
        page.goto("/admin-changes?action=addition")
        page.locator(".export-menu > summary").click()
        with page.expect_download() as started:
            page.get_by_role("link", name="Archivo Parquet", exact=True).click()
        assert started.value.suggested_filename.endswith(".parquet")


@pytest.mark.parametrize("size", SIZES)
def test_help_leads_to_the_chapter_that_fits(browser: Browser, site: Site, user: str, size: str) -> None:
    with Visit(browser, site, user=user, viewport=SIZES[size]) as page:
        page.goto("/admin-changes")
        page.get_by_role("link", name="Ayuda").click()
        page.wait_for_url("**/help/reports")
        expect(page.get_by_role("heading", level=1)).to_have_text("Los reportes")
        page.get_by_role("navigation", name="Contenido").get_by_role("link", name="Exportar", exact=True).click()
        page.wait_for_url("**/help/exports")
        picture = page.locator(".guide-text img").first
        picture.scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('.guide-text img').naturalWidth > 0")


@pytest.mark.parametrize(("size", "scheme", "language"), LOOKS)
def test_axe_finds_nothing_on_these_pages(
    browser: Browser, site: Site, user: str, size: str, scheme: str, language: str
) -> None:
    site.app.extensions["krill_logger"].saved.save(user, "api-requests", sites.SCRIPT, "q=1", shared=False)
    speak(site, user, language)
    everything = (
        "columns=event_id,requested_at,masked,data,kafka_offset,ingested_at,user&times=relative&density=compact"
    )
    paths = [
        ("/api-requests?user=crm-a&per_page=25", ".look-menu"),
        ("/api-requests?user=crm-a&per_page=25", ".views-menu"),
        ("/admin-changes?per_page=25", ".export-menu"),
        (f"/api-requests?{everything}&per_page=25", ""),
        (f"/api-requests?{everything}&from=2026-10-24T12:00&to=2026-10-24T13:30&per_page=25", ""),
        ("/api-requests?columns=nothing", ""),
        ("/views", ""),
        *((f"/help/{name}" if name != "index" else "/help/", "") for name in guide.chapters()[language]),
    ]
    with Visit(browser, site, user=user, viewport=SIZES[size], color_scheme=scheme, bypass_csp=True) as page:
        for path, menu in paths:
            page.goto(path)
            if menu:
                page.locator(f"{menu} > summary").click()
            expect(page.locator("[aria-busy=true]")).to_have_count(0)
            assert axe.problems(page) == [], (path, menu)
            assert overflow(page) == 0, (path, menu)
            assert page.evaluate("window.hacked") is None


def test_what_a_user_keeps_goes_into_the_url(browser: Browser, site: Site, user: str) -> None:
    with Visit(browser, site, user=user) as page:
        page.goto("/admin-changes")
        page.locator(".look-menu > summary").click()
        page.locator(".look-form [name=density]").select_option("compact")
        page.get_by_text("Abrir el reporte así a partir de ahora").click()
        page.get_by_role("button", name="Aplicar", exact=True).first.click()
        page.wait_for_url("**/admin-changes?density=compact")
        page.goto("/admin-changes?user=ignacio")
        assert parse_qs(urlsplit(page.url).query) == {"user": ["ignacio"], "density": ["compact"]}
        height = page.locator("tr.row").first.bounding_box()
        assert height
        assert height["height"] < 27
