"""Somebody who has logged in and looks at the dashboard."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from tests import site as sites
from tests.site import Site

SIZES = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 360, "height": 780}}
#: Each size, scheme and language: at one pair of them what a page does is tried, at the other how it looks.
READERS = (("desktop", "es"), ("phone", "en"))
LOOKS = (("desktop", "dark", "en"), ("phone", "light", "es"))

#: Of those who have logged in, by site and user: hashing a password takes long.
_cookies: dict[tuple[str, str], Any] = {}


class Visit:
    """A page of somebody who has logged in; whatever the browser complains about fails the test at its end."""

    def __init__(self, browser: Browser, site: Site, user: str = sites.USER, **options: Any) -> None:
        self.site = site
        self.context: BrowserContext = browser.new_context(
            base_url=site.url, **{"viewport": SIZES["desktop"], "locale": "es-ES"} | options
        )
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._note)
        if known := _cookies.get((site.url, user)):
            self.context.add_cookies(known)
        else:
            self.page.goto("/login")
            self.page.get_by_label("Usuario").fill(user)
            self.page.get_by_label("Contraseña").fill(sites.PASSWORD)
            self.page.get_by_role("button", name="Entrar").click()
            self.page.wait_for_url("**/")
            _cookies[site.url, user] = self.context.cookies()

    def _note(self, message: Any) -> None:
        # Pages that are meant to be answered with an error status are not the browser's complaint.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def __enter__(self) -> Page:
        return self.page

    def __exit__(self, *_exc: object) -> None:
        self.context.close()
        assert self.complaints == []


def reader(site: Site, language: str) -> str:
    """A user whose pages are in `language`."""
    name, accounts = f"reader-{language}", site.app.extensions["krill_logger"].accounts
    if name not in {user.name for user in accounts.users()}:
        accounts.create_user(name, sites.PASSWORD)
        accounts.set_preferences(name, language=language)
    return name


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
