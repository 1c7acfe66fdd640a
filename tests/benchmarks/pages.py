"""How soon Chromium shows each page of the dashboard over many rows: `make bench-pages`.

    python -m tests.benchmarks.pages [--rows 10000000] [--rounds 9]

Measured from the first byte of the server's answer, with an empty cache: first contentful paint, and when the first
frame with the page's table (or what it has instead) has been drawn. Beside it, how long the server took, and the
compressed scripts and styles. There is no peer: the goal is a time. Bias: Chromium, the dashboard and ClickHouse share
this machine, so a page is slower here than for somebody who sits elsewhere, except for the network that it does not
cross.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import clickhouse_connect
from playwright.sync_api import Browser, sync_playwright

from schemas.settings import Settings
from tests import chromium
from tests.benchmarks import rows
from tests.benchmarks.load import answers, fresh_dashboard, goal, report
from tests.conftest import free_port

KEPT = Path(__file__).parents[2] / "var" / "bench"
MONTH = "from=2026-10-01T00:00Z&to=2026-11-01T00:00Z"
PASSWORD = uuid.uuid4().hex

# A message that is posted in a frame arrives when the frame has been drawn.
_WATCH = """
(() => {
  const content = "main table tbody tr, main .timeline li, main article, main dl, main .empty";
  const look = () => document.querySelector(content)
    ? drawn.port2.postMessage(null)
    : requestAnimationFrame(look);
  const drawn = new MessageChannel();
  drawn.port1.onmessage = () => { window.shownAt = performance.now() };
  requestAnimationFrame(look);
})()
"""
_READ = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  const assets = performance.getEntriesByType("resource").filter(one => /\\.(js|css)$/.test(one.name));
  return {
    server: page.responseStart - page.requestStart,
    paint: paint.startTime - page.responseStart,
    shown: Math.max(window.shownAt, paint.startTime) - page.responseStart,
    size: assets.reduce((sum, one) => sum + one.encodedBodySize, 0),
  };
}"""


def _pages(settings: Settings) -> dict[str, str]:
    client = clickhouse_connect.get_client(dsn=settings.clickhouse, database=settings.clickhouse_database)
    request = client.query(
        "SELECT event_id, user FROM api_requests WHERE data != '' ORDER BY requested_at DESC LIMIT 1"
    ).result_rows[0]
    kind, number = client.query(
        "SELECT object_type, object_id FROM admin_changes ORDER BY changed_at DESC LIMIT 1"
    ).result_rows[0]
    client.close()
    return {
        "Logger dashboard": "/",
        "API report": "/api-requests",
        "API report, a month's errors of a user": f"/api-requests?{MONTH}&user={quote(request[1])}&status_code=>=400",
        "API report, text": f"/api-requests?{MONTH}&q=MiFibra",
        "API report, a row open": f"/api-requests?open={request[0]}",
        "Request": f"/api-requests/{request[0]}",
        "Admin report": "/admin-changes",
        "History of an object": f"/objects/{quote(kind)}/{quote(number)}",
        "Trends": f"/trends?{MONTH}&interval=hour",
        "Integrations": f"/integrations?{MONTH}",
        "Integration": f"/integrations/{quote(request[1])}?{MONTH}",
        "Dead letters": "/dead-letters",
    }


@contextmanager
def _dashboard(settings: Settings) -> Iterator[str]:
    """Its address; started as an operator starts it."""
    port = free_port()
    environment = fresh_dashboard(settings, port, PASSWORD)
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", "dashboard"], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        answers(port, "/login", alive=lambda: process.poll() is None)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _log_in(browser: Browser, url: str) -> list[dict[str, object]]:
    """The cookies of somebody who has logged in."""
    context = browser.new_context(locale="es-ES")
    page = context.new_page()
    page.goto(f"{url}/login")
    page.get_by_label("Usuario").fill("admin")
    page.get_by_label("Contraseña").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/")
    cookies = context.cookies()
    context.close()
    return cookies  # type: ignore[return-value]


def _visit(browser: Browser, cookies: list[dict[str, object]], address: str) -> dict[str, float]:
    """Milliseconds and bytes of one visit with an empty cache."""
    context = browser.new_context(locale="es-ES", viewport={"width": 1440, "height": 900})
    context.add_cookies(cookies)  # type: ignore[arg-type]
    page = context.new_page()
    page.add_init_script(_WATCH)
    answer = page.goto(address)
    assert answer is not None
    assert answer.ok, f"{address}: {answer.status}"
    page.wait_for_function("() => window.shownAt && performance.getEntriesByName('first-contentful-paint').length")
    page.wait_for_load_state("networkidle")
    measured: dict[str, float] = page.evaluate(_READ)
    context.close()
    return measured


def main() -> int:
    """Print a table and the goals; the exit code."""
    options = argparse.ArgumentParser(description="How soon Chromium shows each page of the dashboard.")
    options.add_argument("--rows", type=int, default=10_000_000, help="API requests in ClickHouse")
    options.add_argument("--rounds", type=int, default=9, help="visits of each page, of which the median counts")
    options.add_argument("--folder", type=Path, default=KEPT, help="where the rows are kept for the next run")
    given = options.parse_args()
    goals = []
    with rows.clickhouse(given.folder, given.rows) as settings, _dashboard(settings) as url, sync_playwright() as tool:
        browser = chromium.launch(tool)
        cookies = _log_in(browser, url)
        print(f"{given.rows:,} requests, median of {given.rounds}; ms behind the server's first byte\n")
        print(f"{'page':<42}{'server':>9}{'paint':>9}{'table':>9}{'js+css KiB':>12}")
        for name, path in _pages(settings).items():
            _visit(browser, cookies, url + path)
            visits = [_visit(browser, cookies, url + path) for _ in range(given.rounds)]
            found = {key: statistics.median(visit[key] for visit in visits) for key in visits[0]}
            size = found["size"] / 1024
            print(f"{name:<42}{found['server']:>9.0f}{found['paint']:>9.0f}{found['shown']:>9.0f}{size:>12.1f}")
            goals += [
                goal(f"{name}: first contentful paint, ms", found["paint"], 300),
                goal(f"{name}: table, ms", found["shown"], 300),
                goal(f"{name}: scripts and styles, KiB", size, 150),
            ]
        browser.close()
    return report(goals, rows=given.rows, rounds=given.rounds)


if __name__ == "__main__":
    sys.exit(main())
