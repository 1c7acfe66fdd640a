"""Pictures of the pages for README, docs and the user guide, taken from the demo: `make screenshots`."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests import chromium
from tests.browser.test_road import PASSWORD, Stack

IMAGES = Path(__file__).parents[2] / "docs" / "images"
TRAFFIC_SECONDS = 150
#: For the guide: the part of a page that is taken, at most so wide and so high.
GUIDE = {"width": 1200, "height": 720}
#: Menus of the API report, by the picture's name.
MENUS = {"export": ".export-menu", "views": ".views-menu", "columns": ".look-menu"}


def main() -> None:
    """Start the stack, let the demo work for a while, take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        stack = Stack(Path(folder))
        stack.up()
        try:
            time.sleep(TRAFFIC_SECONDS)
            browser = chromium.launch(playwright)
            for_readme(stack, visit(browser, stack, {"width": 1440, "height": 900}))
            for language in ("es", "en"):
                for_guide(stack, visit(browser, stack, GUIDE), language)
            browser.close()
        finally:
            stack.down()


def visit(browser: Browser, stack: Stack, size: dict[str, int]) -> Page:
    """The start page, logged in, in light."""
    page = browser.new_context(viewport=size, locale="es-ES", color_scheme="light").new_page()
    page.goto(f"{stack.dashboard}/login")
    page.locator("[name=name]").fill("admin")
    page.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{stack.dashboard}/")
    return page


def for_readme(stack: Stack, page: Page) -> None:
    """Whole pages."""
    request = stack.api("api-requests", method="PATCH", status_code="200", per_page=1)["items"][0]["event_id"]
    change = some_change(stack)["event_id"]
    since = (dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%MZ")
    for name, path in {
        "home": "/",
        "api-requests": f"/api-requests?method=PATCH&status_code=200&open={request}",
        "admin-changes": f"/admin-changes?changed_fields=postalcode&open={change}",
        "trends": f"/trends?interval=minute&from={since}",
    }.items():
        open_page(page, stack.dashboard + path)
        page.screenshot(path=IMAGES / f"{name}.png")


def for_guide(stack: Stack, page: Page, language: str) -> None:
    """Parts of pages, in a language of the guide."""
    page.locator(".user-menu summary").click()
    page.locator(f"button[name=language][value={language}]").click()
    page.wait_for_selector(f"html[lang={language}]")
    folder = IMAGES / "guide" / language
    folder.mkdir(parents=True, exist_ok=True)
    change = some_change(stack)
    for name, path in {
        "home": "/",
        "report": "/api-requests?method=PATCH",
        "detail": f"/admin-changes/{change['event_id']}",
        "history": f"/objects/{change['object_type']}/{change['object_id']}",
        "trends": "/trends?interval=minute&from=now-15m",
        "integration": "/integrations/crm-demo?from=now-15m",
    }.items():
        open_page(page, stack.dashboard + path)
        page.screenshot(path=folder / f"{name}.png")
    page.goto(f"{stack.dashboard}/api-requests?live=1")
    page.wait_for_selector("tr.is-new", timeout=120_000)
    page.screenshot(path=folder / "live.png")
    open_page(page, f"{stack.dashboard}/api-requests")
    page.locator("#search").press_sequentially("usuario:" if language == "es" else "user:")
    page.wait_for_selector("#completions li")
    page.screenshot(path=folder / "search.png", clip={"x": 0, "y": 52, "width": 800, "height": 400})
    for name, menu in MENUS.items():
        open_page(page, f"{stack.dashboard}/api-requests?method=PATCH")
        page.locator(f"{menu} > summary").click()
        box = page.locator(f"{menu} > .menu-body").bounding_box()
        assert box
        left = max(0, box["x"] - 240)
        right = min(GUIDE["width"], box["x"] + box["width"] + 24)
        clip = {
            "x": left,
            "y": 52,
            "width": right - left,
            "height": min(GUIDE["height"], box["y"] + box["height"] + 16) - 52,
        }
        page.screenshot(path=folder / f"{name}.png", clip=clip)  # type: ignore[arg-type]


def some_change(stack: Stack) -> dict[str, str]:
    """A change of a postal code, as soon as there is one."""
    found = stack.until(
        lambda: stack.api("admin-changes", action="change", changed_fields="postalcode", per_page=1)["items"], 120
    )
    return dict(found[0])


def open_page(page: Page, url: str) -> None:
    """Go there and wait until everything has come."""
    page.goto(url)
    expect(page.locator("[aria-busy=true]")).to_have_count(0, timeout=60_000)


if __name__ == "__main__":
    main()
