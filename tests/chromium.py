"""A real Chromium, headless."""

from __future__ import annotations

import os
import shutil

from playwright.sync_api import Browser, Playwright

#: The shell draws the same pages without the windows of a desktop around them, in half the processor time.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def launch(playwright: Playwright) -> Browser:
    """Start it; `CHROMIUM` names another one than the system's."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    assert path, "Chromium is not installed"
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
