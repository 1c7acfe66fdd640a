"""`clean` leaves out the walk where it may, and only there: what it gives is what `mask` gives."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.django.cleaning import clean
from schemas.masking import SUBSTITUTE, mask

WORDS = st.sampled_from(
    [
        "name",
        "api/",
        "serial",
        "ssid",
        "wifi_password",
        "pássword",
        "ＰＩＮ",
        "contraseña",
        "apiKey",
        "pin",
        "api",
        "año",
        "x",
    ]
)
TEXTS = WORDS | st.text(max_size=10) | st.builds("{}={}&x=1".format, WORDS, WORDS)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.sampled_from([(), ("api",), ("API", "x"), ("año",)]))
def test_it_masks_what_mask_does(value, extra):
    assert repr(clean(value, extra)) == repr(mask(value, extra=extra)[0])


@given(VALUES, st.sampled_from([(), ("api",), ("API", "x"), ("año",)]))
def test_it_masks_json_as_it_masks_the_value(value, extra):
    body = msgspec.json.encode(value)
    value = msgspec.json.decode(body)
    cleaned = clean(msgspec.Raw(body), extra)
    masked = mask(value, extra=extra)[0]
    if type(cleaned) is msgspec.Raw:
        assert bytes(cleaned) == body
        assert masked == value
    else:
        assert repr(cleaned) == repr(masked)


@pytest.mark.parametrize(
    "body",
    [
        rb'{"contrase\u00f1a":"hunter2"}',
        rb'{"\u0070assword":"hunter2"}',
        rb'{"pi\u006e":"hunter2"}',
        b'{"password":"hunter2","password":null}',
        b'{"x":{"pin":"hunter2","pin":""}}',
    ],
)
def test_secrets_are_not_hidden_by_how_json_is_written(body):
    assert b"hunter2" not in msgspec.json.encode(clean(msgspec.Raw(body)))


def test_json_without_secrets_stays_as_it_is_though_it_looks_like_some():
    body = msgspec.Raw(b'{"monkey":"x","author":"y"}')
    assert clean(body) is body


def test_a_name_that_is_part_of_a_path_is_no_reason_to_look_closer():
    value = {"next": "https://krill.example/api/v2/isp/cpes/?page=2"}
    assert clean(value, ("api",)) is value
    for text in ("/api/?api=x", "<api>x</api>", "api: x", '{"api": "x"}'):
        assert SUBSTITUTE in repr(clean({"a": text}, ("api",)))


@pytest.mark.parametrize("name", ["wifi_password", "pássword", "contraseña", "a\u0301pi\u0301Kéy"])
def test_secrets_in_any_spelling(name):
    assert clean({"deep": [{name: "hunter2"}]}) == {"deep": [{name: SUBSTITUTE}]}


def test_what_holds_none_is_not_copied():
    value = {"id": 1, "city": "Málaga", "tags": ["a", "b"]}
    assert clean(value) is value
    assert clean(value, ("signature",)) is value
    assert clean(value, ("city",)) == {**value, "city": SUBSTITUTE}
