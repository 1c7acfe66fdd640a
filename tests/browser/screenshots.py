"""Pictures of the pages for README and docs, taken from the demo: `make screenshots`."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.test_road import PASSWORD, Stack

IMAGES = Path(__file__).parents[2] / "docs" / "images"
TRAFFIC_SECONDS = 150


def main() -> None:
    """Start the stack, let the demo work for a while, take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        stack = Stack(Path(folder))
        stack.up()
        try:
            time.sleep(TRAFFIC_SECONDS)
            chromium = playwright.chromium.launch(
                executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
                args=["--no-sandbox", "--lang=es-ES"],
            )
            page = chromium.new_context(viewport={"width": 1440, "height": 900}, locale="es-ES").new_page()
            page.goto(f"{stack.dashboard}/login")
            page.get_by_label("Usuario").fill("admin")
            page.get_by_label("Contraseña").fill(PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url(f"{stack.dashboard}/")
            request = stack.api("api-requests", method="PATCH", status_code="200", per_page=1)["items"][0]["event_id"]
            change = stack.api("admin-changes", changed_fields="postalcode", per_page=1)["items"][0]["event_id"]
            since = (dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%MZ")
            for name, path in {
                "home": "/",
                "api-requests": f"/api-requests?method=PATCH&status_code=200&open={request}",
                "admin-changes": f"/admin-changes?changed_fields=postalcode&open={change}",
                "trends": f"/trends?interval=minute&from={since}",
            }.items():
                page.goto(stack.dashboard + path)
                page.wait_for_load_state("networkidle")
                page.screenshot(path=IMAGES / f"{name}.png")
            chromium.close()
        finally:
            stack.down()


if __name__ == "__main__":
    main()
