"""What the dashboard is for, each thing on a Spanish desktop and an English phone, in Chromium."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from babel.messages import pofile
from playwright.sync_api import Browser, Page, expect

import dashboard
from dashboard.integrations import path_to
from tests import site as sites
from tests.browser.visit import READERS, SIZES, Visit, overflow
from tests.integration import report_data
from tests.integration.test_history import change, request
from tests.integration.test_integrations import RANGE, USER
from tests.integration.test_integrations import ROWS as INTEGRATION_ROWS
from tests.integration.test_slowest import ROWS as SLOW_ROWS
from tests.site import Site

CATALOG = Path(dashboard.__file__).parent / "translations/es/LC_MESSAGES/messages.po"
AT = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
OLD = "Instalado en la fachada; hay que llamar antes de ir, y el perro no muerde."
CAUSE = request(1, object_id="585", path="/api/v2/isp/cpes/585/", request_id="req-9", data='{"postalcode": "1505"}')
CAUSED = change(1, object_id="585", object_repr="pim0585", request_id="req-9", user="crm-norte")
NOTES = change(
    2,
    object_id="585",
    object_repr="pim0585",
    changed_at=AT + dt.timedelta(days=1),
    changed_fields=["notes"],
    changes=json.dumps([{"field": "notes", "old": OLD, "new": OLD.replace("fachada", "azotea")}]),
)
GONE = change(
    3, object_id="585", object_repr="pim0585", changed_at=AT + dt.timedelta(days=5), action="deletion", changes="[]"
)
PERIOD = f"from={RANGE['from']}&to={RANGE['to']}"
#: A page of each kind, in the state that its URL says.
EVERY_PAGE = (
    "/",
    "/api-requests?user=crm-a&method=PATCH&sort=-response_ms&per_page=25&page=2",
    f"/api-requests/{CAUSE['event_id']}",
    f"/api-requests/{CAUSE['event_id']}/data?find=1505",
    "/admin-changes?action=change&columns=changed_at,object_repr,user&density=compact&per_page=50",
    f"/admin-changes/{NOTES['event_id']}?object_id=585",
    "/objects/cpe/585?reads=1&from=2026-11-01",
    f"/trends?{PERIOD}&by=user&compare=week&table=users&sort=-p95",
    f"/api-requests/slowest?{PERIOD}&slow=%3E%3D100",
    f"/integrations?{PERIOD}&compare=previous&sort=-error_rate",
    f"{path_to(USER)}?{PERIOD}&gap=3600",
    "/dead-letters",
    "/views",
    "/help/search",
    "/account",
)


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made, sites.listening(made) as site:
        report_data.insert(made.client, "admin_changes", [CAUSED, NOTES, GONE])
        report_data.insert(made.client, "api_requests", [CAUSE])
        report_data.insert(made.client, "api_requests", INTEGRATION_ROWS)
        report_data.insert(made.client, "api_requests", SLOW_ROWS)
        accounts = made.app.extensions["krill_logger"].accounts
        for language in ("es", "en"):
            accounts.create_user(language, sites.PASSWORD)
            accounts.create_user(f"{language}-colleague", sites.PASSWORD)
        yield site


class Reader(Visit):
    """A visit whose pages are in `language`; `say` is what they call a text."""

    def __init__(
        self, browser: Browser, site: Site, language: str, size: str, user: str = "", **options: object
    ) -> None:
        super().__init__(browser, site, user or language, viewport=SIZES[size], **options)
        self.language, self.size = language, size
        site.app.extensions["krill_logger"].accounts.set_preferences(user or language, language=language)
        with CATALOG.open("rb") as file:
            spanish = pofile.read_po(file, locale="es")
        self.words = {str(message.id): str(message.string) for message in spanish} if language == "es" else {}

    def say(self, text: str, **values: str) -> str:
        return (self.words[text] if self.words else text) % values


@pytest.fixture(params=READERS, ids="-".join)
def reader(request: pytest.FixtureRequest, browser: Browser, site: Site) -> Iterator[Reader]:
    size, language = request.param
    reader = Reader(browser, site, language, size, permissions=["clipboard-read", "clipboard-write"])
    with reader:
        yield reader


def settled(page: Page, path: str) -> None:
    page.goto(path)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def test_facets_include_and_exclude_and_a_histogram_zooms(reader: Reader) -> None:
    page, say = reader.page, reader.say
    settled(page, "/api-requests?from=2026-10-24T22:00:00%2B02:00&to=2026-10-25T21:00:00%2B01:00&user=crm-a")
    if reader.size == "phone":
        page.locator(".facets > summary").click()
    page.get_by_role("region", name=say("Method"), exact=True).get_by_role("link", name="PATCH", exact=True).click()
    page.wait_for_url("**&method=PATCH")
    without = say("Without %(value)s", value="500")
    if reader.size == "phone":  # where they make room for the rows they led to
        page.locator(".facets > summary").click()
    page.get_by_role("region", name=say("Status"), exact=True).get_by_role("link", name=without).click()
    page.wait_for_url("**&-status_code=500")
    assert page.locator("#search").input_value().endswith("-estado:500" if reader.words else "-status:500")
    bars = page.locator(".histogram .plot a")
    expect(bars).to_have_count(48)
    first, last = bars.nth(4).bounding_box(), bars.nth(7).bounding_box()
    assert first
    assert last
    page.mouse.move(first["x"] + first["width"] / 2, first["y"] + 40)
    page.mouse.down()
    page.mouse.move(last["x"] + last["width"] / 2, last["y"] + 40, steps=4)
    expect(page.locator(".histogram .is-selected")).to_have_count(4)
    page.mouse.up()
    page.wait_for_url(lambda url: "T02%3A00" in url)
    asked = parse_qs(urlsplit(page.url).query)
    assert (asked["from"], asked["to"]) == (["2026-10-25T00:00:00+02:00"], ["2026-10-25T02:00:00+02:00"])
    page.go_back()
    expect(bars).to_have_count(48)
    assert overflow(page) == 0


def test_a_change_is_a_sentence_and_a_diff(reader: Reader) -> None:
    page, say = reader.page, reader.say
    settled(page, f"/admin-changes?object_id=585&open={CAUSED['event_id']}&open={NOTES['event_id']}")
    told = (
        "crm-norte cambió el código postal del CPE pim0585 de 1504 a 1505"
        if reader.words
        else "crm-norte changed the postal code of the CPE pim0585 from 1504 to 1505"
    )
    expect(page.locator(".sentence", has_text="crm-norte")).to_have_text(told)
    diff = page.get_by_role("region", name=say("Changes"), exact=True)
    for heading in ("Field", "Before", "After"):
        expect(diff.last.get_by_role("columnheader", name=say(heading))).to_be_visible()
    expect(diff.last.get_by_role("row").last).to_have_text(re.compile(r"postalcode\s*1504\s*1505"))
    expect(diff.first.locator("del")).to_have_text("fachada")
    expect(diff.first.locator("ins")).to_have_text("azotea")
    assert overflow(page) == 0


def test_payloads_are_trees_and_errors_fold_their_traceback(reader: Reader) -> None:
    page, say = reader.page, reader.say
    settled(page, f"/api-requests?open={sites.PATCH_ID}&open={sites.CRASH_ID}&per_page=25")
    params = page.get_by_role("region", name=say("Query params"), exact=True)
    # As JSON writes it: the text, not the number.
    quote = "e => getComputedStyle(e, '::before').content"
    assert params.locator(".t-string bdi").first.evaluate(quote) == '"\\""'
    expect(page.get_by_text(say("masked"), exact=True).first).to_be_visible()
    raised = page.locator(".raised").first
    expect(raised).to_contain_text("ProvisioningError: 'no <OLT>'")
    expect(raised.get_by_text("views.py")).to_be_hidden()
    raised.locator("summary").click()
    expect(raised.get_by_text("views.py")).to_be_visible()
    # What is empty takes less room than what is not.
    if reader.size == "desktop":
        blank, full = page.locator(".payload.is-blank").first, params.locator("xpath=..")
        sizes = [one.bounding_box() for one in (blank, full)]
        assert sizes[0]
        assert sizes[1]
        assert sizes[0]["width"] < sizes[1]["width"] / 2
    params.locator(".t-leaf").first.hover()
    params.locator("a.t-value").first.click()
    page.wait_for_url("**field.postalcode=1505**")


def test_an_object_has_one_history_linked_both_ways(reader: Reader) -> None:
    page, say = reader.page, reader.say
    settled(page, f"/api-requests?open={CAUSE['event_id']}&user=crm-norte&object_id=585")
    page.get_by_role("link", name=say("History of this object")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("CPE pim0585")
    expect(page.get_by_role("heading", level=1)).to_contain_text(say("Deleted on %(time)s", time="").strip())
    for actor in ("Person", "Integration"):
        expect(page.locator(".entry-head", has_text=say(actor)).first).to_be_visible()
    page.get_by_role("link", name=say("Change that it caused")).click()
    page.wait_for_url(f"**/admin-changes/{CAUSED['event_id']}")
    expect(page.get_by_role("heading", name=say("Request that caused it"))).to_be_visible()
    page.go_back()
    page.get_by_role("link", name=say("Request that caused it")).click()
    page.wait_for_url(f"**/api-requests/{CAUSE['event_id']}")
    page.go_back()
    # Dates as people say them, as in the reports.
    page.get_by_label(say("From"), exact=True).fill("20/11/2026")
    page.get_by_role("button", name=say("Apply"), exact=True).click()
    page.wait_for_url("**?from=2026-11-20T00:00:00%2B01:00")
    expect(page.get_by_label(say("From"), exact=True)).to_have_value("2026-11-20")
    assert overflow(page) == 0


def test_trends_take_words_for_dates_compare_and_lead_to_requests(reader: Reader) -> None:
    page, say = reader.page, reader.say
    settled(page, "/trends")
    expect(page.locator(".quick-row [aria-current=true]")).to_have_text(say("Last 24 hours"))
    yesterday, today = ("ayer", "hoy") if reader.words else ("yesterday", "today")
    page.get_by_label(say("From"), exact=True).fill(yesterday)
    page.get_by_label(say("To, not included")).fill(today)
    page.get_by_role("button", name=say("Show"), exact=True).click()
    page.wait_for_url("**from=now-1d/d&to=now/d**")
    expect(page.get_by_label(say("From"), exact=True)).to_have_value(yesterday)
    expect(page.locator(".quick-row [aria-current=true]")).to_have_text(say("Yesterday"))
    settled(page, f"/trends?{PERIOD}")
    page.get_by_label(say("Compare with")).select_option("week")
    page.get_by_role("button", name=say("Show"), exact=True).click()
    page.wait_for_url("**compare=week**")
    expect(page.locator(".line.before").first).to_be_attached()
    table = page.get_by_role("region", name=say("Who and what"))
    expect(table.locator(".spark").first).to_be_attached()
    # A percentile of few requests is no number.
    page.locator(".tabs").get_by_role("link", name=say("Integrations")).click()
    page.wait_for_url("**table=users**")
    rows = table.locator("tr.rank").evaluate_all("all => all.map(row => [...row.cells].map(cell => cell.innerText))")
    few = [row for row in rows if int(re.sub(r"\D", "", row[2])) < 100]
    assert few
    assert {row[9] for row in few} == {"–"}  # p99
    table.get_by_role("link", name=say("Change in p95")).click()
    page.wait_for_url("**sort=-p95_change**")
    page.locator(".chart").first.locator("a").last.focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.wait_for_url("**/api-requests?**")
    assert parse_qs(urlsplit(page.url).query)["from"] == ["2026-11-12T00:00:00+01:00"]
    assert overflow(page) == 0


def test_an_integration_tells_errors_runs_latency_and_addresses(reader: Reader) -> None:
    page, say = reader.page, reader.say
    settled(page, f"{path_to(USER)}?{PERIOD}")
    failures = page.get_by_role("region", name=say("Errors, by kind"))
    expect(failures).to_contain_text("krill.OltError: no OLT “…” at #")
    for heading in ("First", "Last"):
        expect(failures.get_by_role("columnheader", name=say(heading), exact=True)).to_be_visible()
    runs = page.get_by_role("region", name=say("Runs"))
    assert runs.get_by_role("row").count() > 1
    expect(page.get_by_role("region", name=say("Where it calls from")).get_by_role("link").first).to_be_visible()
    expect(page.locator(".trend-figures")).to_contain_text("p95 (ms)")
    runs.get_by_role("link", name=say("Details")).first.click()
    page.wait_for_url("**/api-requests/*-*")
    page.get_by_role("link", name=say("Integration %(name)s", name=USER)).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(USER)
    assert overflow(page) == 0


def test_data_say_how_fresh_they_are_and_what_is_missing(reader: Reader) -> None:
    page, say = reader.page, reader.say
    for path in ("/api-requests?user=crm-a", "/admin-changes", f"/integrations?{PERIOD}"):
        settled(page, path)
        state = page.get_by_role("list", name=say("State of the data"))
        expect(state).to_contain_text(say("Data until"))
        expect(state).to_contain_text(re.compile(rf"{say('Waiting in Kafka')} 3 "))
        state.get_by_role("link", name="5").click()
        page.wait_for_url("**/dead-letters")
        expect(page.locator(".letter")).to_have_count(5)
        assert overflow(page) == 0


def test_keys_go_on_and_a_row_is_copied(reader: Reader) -> None:
    page, say = reader.page, reader.say
    settled(page, "/admin-changes?object_id=585")
    ids = page.locator("a.toggle").evaluate_all("all => all.map(one => one.dataset.id)")
    settled(page, f"/admin-changes?object_id=585&open={ids[0]}")
    page.keyboard.press("j")
    page.wait_for_url(f"**open={ids[1]}**")
    page.keyboard.press("k")
    page.wait_for_url(f"**open={ids[0]}**")
    settled(page, f"/api-requests/{CAUSE['event_id']}")
    page.get_by_role("button", name=say("Copy as cURL")).click()
    page.wait_for_function("() => navigator.clipboard.readText().then(held => held.includes('Token TOKEN'))")
    expect(page.get_by_text(say("Copied"), exact=True)).to_be_visible()


def test_a_view_is_restored_by_reload_by_back_and_by_a_colleague(browser: Browser, site: Site, reader: Reader) -> None:
    colleague = f"{reader.language}-colleague"
    with Reader(browser, site, reader.language, reader.size, colleague) as other:
        for path in EVERY_PAGE[:-1]:
            settled(reader.page, path)
            wanted = seen(reader.page)
            address = reader.page.url
            reader.page.reload()
            assert seen(reader.page) == wanted, path
            reader.page.goto("/account")
            reader.page.go_back()
            assert seen(reader.page) == wanted, path
            other.goto(address)
            assert seen(other) == wanted, path


def seen(page: Page) -> tuple[str, list[str]]:
    """What a page says and holds in its fields, but for what the clock changes."""
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    fields = page.locator("main :is(input:not([type=hidden]), select)").evaluate_all(
        "all => all.map(one => `${one.name}=${one.type === 'checkbox' ? one.checked : one.value}`)"
    )
    said = page.locator("main").inner_text()
    said = re.sub(r"[\d.,]+ (segundos?|seconds?)|(hace|en) \d+ \w+|\d+ \w+ ago|\d\d:\d\d:\d\d", "", said)
    return said, fields


def test_every_page_is_light_and_nothing_moves_on_a_slow_network(reader: Reader) -> None:
    page = reader.page
    page.context.new_cdp_session(page).send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 50, "downloadThroughput": 60 * 1024, "uploadThroughput": 60 * 1024},
    )
    for path in EVERY_PAGE:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        shift, weight = page.evaluate(
            """() => new Promise(done => {
                let sum = 0;
                new PerformanceObserver(list => { for (const entry of list.getEntries()) sum += entry.value; })
                    .observe({type: "layout-shift", buffered: true});
                const files = performance.getEntriesByType("resource").filter(one => /[.](js|css)$/.test(one.name));
                const weight = files.reduce((total, one) => total + one.encodedBodySize, 0);
                setTimeout(() => done([sum, weight]), 100);
            })"""
        )
        assert shift < 0.01, path
        assert 0 < weight < 150 * 1024, path
        assert overflow(page) == 0, path


@pytest.mark.parametrize("size", SIZES)
def test_the_chosen_theme_is_there_before_any_script(browser: Browser, site: Site, size: str) -> None:
    accounts = site.app.extensions["krill_logger"].accounts
    accounts.set_preferences("es", language="es", theme="dark")
    try:
        with Visit(browser, site, "es", viewport=SIZES[size], color_scheme="light", java_script_enabled=False) as page:
            for path in EVERY_PAGE:
                page.goto(path)
                ground = page.locator("html").evaluate("e => getComputedStyle(e).backgroundColor")
                assert ground == "rgb(13, 20, 19)", path
                assert page.locator("meta[name=color-scheme]").get_attribute("content") == "dark"
    finally:
        accounts.set_preferences("es", theme="auto")
