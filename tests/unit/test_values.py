"""Stored values made fit to be shown, the URLs that filter by them, and the instants and charts of the pages."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from dashboard import values
from dashboard.address import Address
from dashboard.rows import Cut
from dashboard.security import safe_next

MADRID = ZoneInfo("Europe/Madrid")


@given(st.text(st.characters(), max_size=400))
def test_what_is_shown_has_no_invisible_character_and_can_be_encoded(text: str) -> None:
    for shown in (values.show(text), values.cell(text), values.panel(text, 100).text):
        shown.encode()
        assert not set(shown) & set("\u202e\u2066\u200b\x00\x1b\x7f\x9b\ufeff\r")
    assert len(values.cell(text, 50)) <= 50 * len("⟨U+10FFFF⟩") + 1
    assert "\n" not in values.cell(text)


def test_invisible_characters_are_spelled_out() -> None:
    assert values.show("a\u202eb\x1b[m") == "a⟨U+202E⟩b⟨U+001B⟩[m"
    assert values.show("línea\n\ttab 中文 🎉") == "línea\n\ttab 中文 🎉"


def test_payloads_are_clipped_and_say_so() -> None:
    whole = values.panel({"a": [1, "é"]}, 100)
    assert (whole.text, whole.clipped) == ('{\n  "a": [\n    1,\n    "é"\n  ]\n}', False)
    cut = values.panel("x" * 101, 100)
    assert (len(cut.text), cut.size, cut.clipped) == (100, 101, True)
    stored = values.panel(Cut.of("abc", 5000), 100)
    assert (stored.text, stored.size, stored.clipped) == ("abc", 5000, True)
    assert [values.panel(empty, 100).text for empty in (None, "")] == ["", ""]
    # Values that are not nothing.
    assert [values.panel(value, 100).text for value in (0, False, {}, [])] == ["0", "false", "{}", "[]"]


def test_nested_json_does_not_end_in_an_error() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    assert values.panel(deep, 100).text


def test_a_view_is_shown_with_its_method() -> None:
    assert values.call({"view": "webapp.isp.views.CpeViewSet", "view_method": "list"}) == (
        "webapp.isp.views.CpeViewSet.list()"
    )
    assert values.call({"view": "v.V", "view_method": ""}) == "v.V"
    assert values.call({"view": "", "view_method": "get"}) == ""


def test_an_address_changes_one_thing_and_goes_back_to_the_first_page() -> None:
    here = Address("/api-requests", (("user", "a"), ("user", "b"), ("page", "3"), ("open", "x")))
    assert str(here.adding("user", "a")) == "/api-requests?user=b&user=a"
    assert str(here.without("user", "a")) == "/api-requests?user=b"
    assert str(here.setting("host", "h&=#?")) == "/api-requests?user=a&user=b&host=h%26%3D%23%3F"
    assert str(here.setting("page", "4")) == "/api-requests?user=a&user=b&open=x&page=4"
    assert str(here.adding("open", "y")) == "/api-requests?user=a&user=b&page=3&open=x&open=y"
    assert str(here.dropping("user").at("/x")) == "/x?page=3&open=x"
    assert here.hidden("user") == []
    assert str(Address("/x", (("q", "\ud800"),))) == "/x?q=%3F"
    for value in ("b", "", "a b&c=ñ/:*,+%", "\ud800"):
        assert here.setter("user")(value) == str(here.setting("user", value))


@given(st.text(max_size=50))
def test_after_a_form_nobody_leaves_the_site(target: str) -> None:
    safe = safe_next(target)
    assert safe.startswith("/")
    assert not safe.startswith(("//", "/\\"))
    assert safe in ("/", target)


def test_json_is_shown_as_it_was_stored() -> None:
    stored = '{"n":123456789012345678901234567890,"x":0.10000000000000000555,"a":1,"a":2,"ñ":[]}'
    assert json.loads(values.formatted(stored)) == json.loads(stored)
    for part in ("123456789012345678901234567890", "0.10000000000000000555", '"a": 1', '"a": 2'):
        assert part in values.formatted(stored)
    for odd in ("", "not json", "NaN", '"\\ud800"', "[" * 50_000):
        assert values.formatted(odd) == odd
