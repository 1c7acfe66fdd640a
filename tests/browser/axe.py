"""What axe-core finds wrong with a page for people who read, see or point differently."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

_SOURCE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})"


def problems(page: Page) -> list[str]:
    """Each rule of WCAG 2.2 AA that the page breaks, with the first place; the page must be open with `bypass_csp`."""
    page.evaluate(_SOURCE.read_text())
    found = page.evaluate(_RUN, _RULES)
    return [f"{item['id']}: {item['nodes'][0]['html'][:200]}" for item in found["violations"]]
