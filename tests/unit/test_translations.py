"""Every text of the dashboard is in Spanish, too, and every text of its templates can be translated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages import Catalog, pofile
from babel.messages.extract import extract_from_dir

DASHBOARD = Path(__file__).parents[2] / "dashboard"
CATALOG = DASHBOARD / "translations/es/LC_MESSAGES/messages.po"
# What marks a text in Python: gettext's names, ours, and the errors whose texts reach a page.
KEYWORDS = {
    **dict.fromkeys(("_", "N_", "gettext", "lazy_gettext"), None),
    **dict.fromkeys(("AccountError", "StoreUnavailable", "QueryTooSlow", "TooManyQueries", "ResultTooLarge"), None),
    "ngettext": (1, 2),
}
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
_PLACEHOLDER = re.compile(r"%\(\w+\)[sdr]")


@pytest.fixture(scope="module")
def extracted() -> set[str | tuple[str, ...]]:
    found = extract_from_dir(DASHBOARD, METHODS, {"jinja2": {"silent": "false"}}, KEYWORDS)
    return {message if isinstance(message, str) else tuple(message) for _, _, message, _, _ in found if message}


@pytest.fixture(scope="module")
def spanish() -> Catalog:
    with CATALOG.open("rb") as file:
        return pofile.read_po(file, locale="es")


def test_every_text_is_translated(extracted: set[str | tuple[str, ...]], spanish: Catalog) -> None:
    assert len(extracted) > 200
    missing = []
    for key in extracted:
        message = spanish.get(key if isinstance(key, str) else key[0])
        strings = [] if message is None else [message.string] if isinstance(message.string, str) else message.string
        if not strings or not all(strings) or message is None or message.fuzzy:
            missing.append(key)
    assert missing == []


def test_no_translation_is_left_over(extracted: set[str | tuple[str, ...]], spanish: Catalog) -> None:
    known = {key if isinstance(key, str) else key[0] for key in extracted}
    ids = {message.id if isinstance(message.id, str) else message.id[0] for message in spanish if message.id}
    assert ids - known == set()


def test_translations_keep_the_placeholders(spanish: Catalog) -> None:
    for message in spanish:
        if not message.id:
            continue
        wanted = set(_PLACEHOLDER.findall(message.id if isinstance(message.id, str) else message.id[-1]))
        for string in [message.string] if isinstance(message.string, str) else message.string:
            assert set(_PLACEHOLDER.findall(string)) == wanted, message.id


@pytest.mark.parametrize("template", sorted(path.name for path in (DASHBOARD / "templates").iterdir()))
def test_templates_hold_no_text_that_is_not_marked(template: str) -> None:
    source = (DASHBOARD / "templates" / template).read_text()
    source = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<(svg|title)\b.*?</\1>", " ", source, flags=re.DOTALL)
    attributes = re.findall(r'\b(?:title|placeholder|aria-label|alt)="([^"]*)"', source)
    texts = [*re.sub(r"<[^>]*>", "|", source).split("|"), *attributes]
    # The product's name, units, and what is written the same in every language.
    same = {"Krill", "Logger", "CSV", "ms", "p", "Krill Logger"}
    words = {word for text in texts for word in re.findall(r"[^\W\d_]+", text)}
    assert words - same == set()
