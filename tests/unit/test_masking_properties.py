"""No secret survives masking, in whatever it is wrapped; what stands beside it does."""

from __future__ import annotations

import ast
import json
import pprint
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from schemas.masking import SUBSTITUTE, mask, mask_bytes, mask_text, might_hold_secret
from schemas.masking import text as text_module

MARK = "hunter2"
CANARY = "canary1"

SECRET_NAMES = st.sampled_from(
    [
        "password",
        "wifi_password2",
        "pppoe_password",
        "apiKey",
        "X-Api-Key",
        "pin_code",
        "wpa2Psk",
        "contraseña",
        "clave",
    ]
)
WORDS = st.sampled_from(
    [
        "city",
        "notes",
        "name",
        "value",
        "key",
        "field",
        "old",
        "new",
        "x-y",
        "Ñandú",
        "monkey",
        "password",
        "apiKey",
        "pin",
    ]
)
SNIPPETS = st.sampled_from(
    ("password: x", "it's", "a=b&pin=1", '{"pin": 1}', "{'pin': 'x'}", "<pin>1</pin>", "\\", '"', "'", "Token 0a1b2c3d")
) | st.sampled_from(
    ("Bearer abc12345678", "https://u:p@h/", "the key to success: pin the tail", "%22", "{", "]", "--b", "a\nb", "\\n")
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=8) | WORDS | SNIPPETS


def examples(count: int) -> settings:
    return settings(deadline=None, max_examples=count, suppress_health_check=list(HealthCheck))


def values(*, tuples: bool = False) -> st.SearchStrategy[Any]:
    def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        plain = st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=6), inner, max_size=5)
        return plain | st.tuples(inner, inner) if tuples else plain

    return st.recursive(SCALARS | TEXTS, containers, max_leaves=20).filter(
        lambda value: isinstance(value, (dict, list))
    )


def secrets(alphabet: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Marked at both ends, so that a part of one that survives is seen."""
    return st.text(alphabet, max_size=12).map(lambda middle: MARK + middle + MARK)


ANY = secrets(st.characters(exclude_categories=["Cs"]) | st.sampled_from(list("'\"\\{}[]()<>&=:;,%#@ \n\t")))
PRINTABLE = secrets(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]) | st.sampled_from(list("'\"\\{}&=:;%#@ "))
)
NO_SPACE = secrets(st.sampled_from(list("abcXYZ019._-+*/@#%^~$!?:")))

# What holds a name, a secret and a canary beside it.
CARRIERS: dict[str, tuple[st.SearchStrategy[str], Callable[[str, str], str]]] = {
    "json": (ANY, lambda n, s: json.dumps({"a": [1, {n: s}], "c": CANARY})),
    "json, indented, not ASCII": (
        ANY,
        lambda n, s: json.dumps({"c": CANARY, n: [s, {"d": s}]}, ensure_ascii=False, indent=2),
    ),
    "json in json in json": (ANY, lambda n, s: json.dumps({"b": json.dumps({"b": json.dumps({n: s}), "c": CANARY})})),
    "json pair": (ANY, lambda n, s: json.dumps([{"value": s, "name": n}, {"name": "c", "value": CANARY}])),
    "json change": (ANY, lambda n, s: json.dumps([{"field": n, "old": s, "new": s}, {"field": "c", "new": CANARY}])),
    "json list of lists": (ANY, lambda n, s: json.dumps([[n, s], ["c", CANARY]])),
    "dict": (ANY, lambda n, s: repr({n: s, "c": CANARY})),
    "dict of lists": (ANY, lambda n, s: f"<QueryDict: { ({n: [s, s], 'c': [CANARY]})!r}>"),
    "pprint": (ANY, lambda n, s: pprint.pformat({"a": {n: s + " " + s}, "c": CANARY}, width=20)),
    "tuples": (ANY, lambda n, s: repr([(n, s), ("c", CANARY)])),
    "bytes": (ANY, lambda n, s: repr({n: s.encode(), "c": CANARY})),
    "repr of repr": (ANY, lambda n, s: repr(repr({n: s, "c": CANARY}))),
    "form": (ANY, lambda n, s: urlencode({"a": 1, n: s, "c": CANARY})),
    "form pair": (ANY, lambda n, s: urlencode([("name", n), ("value", s), ("c", CANARY)])),
    "url query": (ANY, lambda n, s: f"GET https://h/p?{urlencode({n: s, 'c': CANARY})} HTTP/1.1"),
    "url user": (ANY, lambda n, s: f"see https://bob:{quote(s, safe='')}@host/{CANARY} for more"),
    "multipart": (
        ANY,
        lambda n, s: (
            f'--b1\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{s}\r\n'
            f'--b1\r\nContent-Disposition: form-data; name="c"\r\n\r\n{CANARY}\r\n--b1--\r\n'
        ),
    ),
    "xml": (PRINTABLE, lambda n, s: f"<r><{n}>{escape(s)}</{n}><c>{CANARY}</c></r>"),
    "xml cdata": (PRINTABLE, lambda n, s: f"<r><{n} t='1'><![CDATA[{s}]]></{n}><c>{CANARY}</c></r>"),
    "xml attribute": (PRINTABLE, lambda n, s: f"<r {n}={quoteattr(s)} c='{CANARY}'/>"),
    "xml param": (PRINTABLE, lambda n, s: f"<param name='{n}'>{escape(s)}</param><param name='c'>{CANARY}</param>"),
    "xml pair": (PRINTABLE, lambda n, s: f"<p value={quoteattr(s)} name='{n}'/><p name='c' value='{CANARY}'/>"),
    "plist": (
        PRINTABLE,
        lambda n, s: f"<key>{n}</key><string>{escape(s)}</string><key>c</key><string>{CANARY}</string>",
    ),
    "header": (PRINTABLE, lambda n, s: f"Host: {CANARY}\r\n{n}: Bearer {s}\r\nAccept: */*"),
    "yaml": (PRINTABLE, lambda n, s: f"c: {CANARY}\n{n}: {s}\nd: 1"),
    "locals": (ANY, lambda n, s: f"Traceback:\n    {n} = {s!r}\n    c = {CANARY!r}\nKeyError: 'c'"),
    "arguments": (ANY, lambda n, s: f"TypeError: login(user='bob', {n}={s!r}, c={CANARY!r}) failed"),
    "constraint": (PRINTABLE, lambda n, s: f"DETAIL:  Key ({n.replace('-', '_')})=({s}) already exists.\n{CANARY}"),
    "shell": (NO_SPACE, lambda n, s: f"run --{n}={s} --{n} {s} --c {CANARY}"),
    "environment": (NO_SPACE, lambda n, s: f"export {n.upper()}={s}\nC={CANARY}"),
}

# What holds a text, and a canary of its own.
WRAPPERS: dict[str, Callable[[str], str]] = {
    "json": lambda text: json.dumps({"notes": text, "z": CANARY}),
    "json, not ASCII": lambda text: json.dumps([text, CANARY], ensure_ascii=False),
    "dict": lambda text: repr({"notes": text, "z": CANARY}),
    "form": lambda text: urlencode({"data": text, "z": CANARY}),
    "traceback": lambda text: f"  File 'x.py', line 1, in f\n    body = {text!r}\n    z = {CANARY!r}\nValueError: no",
    "xml": lambda text: f"<notes z='{CANARY}'>{escape(text)}</notes>",
    "xml attribute": lambda text: f"<notes text={quoteattr(text)} z='{CANARY}'/>",
    "multipart": lambda text: f'--q\r\nContent-Disposition: form-data; name="a"\r\n\r\n{text}\r\n--q--\r\n{CANARY}',
}


def check(text: str) -> str:
    masked, names = mask_text(text)
    assert MARK not in masked, text
    assert CANARY in masked, text
    assert mask_text(masked) == (masked, names), text
    assert might_hold_secret(text)
    assert might_hold_secret(text.encode("utf-8", "surrogatepass"))
    return masked


@pytest.mark.parametrize("carrier", CARRIERS)
@examples(200)
@given(data=st.data())
def test_a_secret_does_not_survive_in_any_carrier(carrier: str, data: st.DataObject) -> None:
    alphabet, write = CARRIERS[carrier]
    check(write(data.draw(SECRET_NAMES), data.draw(alphabet)))


@examples(1500)
@given(data=st.data())
def test_a_secret_does_not_survive_in_combined_carriers(data: st.DataObject) -> None:
    alphabet, write = CARRIERS[data.draw(st.sampled_from(sorted(CARRIERS)))]
    text = write(data.draw(SECRET_NAMES), data.draw(alphabet))
    for wrapper in data.draw(st.lists(st.sampled_from(sorted(WRAPPERS)), min_size=1, max_size=4)):
        text = WRAPPERS[wrapper](text)
    check(text)


@examples(600)
@given(data=st.data())
def test_a_text_that_was_cut_is_masked_up_to_its_end(data: st.DataObject) -> None:
    name, secret = data.draw(SECRET_NAMES), data.draw(ANY)
    write = CARRIERS[data.draw(st.sampled_from(["json", "json in json in json", "dict", "form", "json change"]))][1]
    text = write(name, secret)
    cut = text[: data.draw(st.integers(0, len(text)))]
    masked, names = mask_text(cut)
    assert MARK not in masked, cut
    assert mask_text(masked) == (masked, names)


@examples(600)
@given(values(), st.booleans(), st.sampled_from([None, 1]), st.sampled_from([None, (",", ":")]))
def test_json_text_is_masked_as_the_value_it_says(
    value: Any, ensure_ascii: bool, indent: int | None, separators: tuple[str, str] | None
) -> None:
    text = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators)
    masked_text, text_names = mask_text(text)
    masked, names = mask(value)
    assert (json.loads(masked_text), text_names) == (masked, names)
    assert mask_text(masked_text) == (masked_text, text_names)
    assert mask(masked) == (masked, names)
    if masked != value:
        assert might_hold_secret(text)
        assert might_hold_secret(text.encode())


@examples(600)
@given(values(tuples=True), st.booleans())
def test_printed_python_is_masked_as_the_value_it_says(value: Any, pretty: bool) -> None:
    text = pprint.pformat(value, width=20) if pretty else repr(value)
    masked_text, text_names = mask_text(text)
    masked, names = mask(value)
    read = json.loads(json.dumps(ast.literal_eval(masked_text)))
    assert (read, text_names) == (json.loads(json.dumps(masked)), names)


@examples(600)
@given(st.text() | st.lists(TEXTS, max_size=12).map("".join), st.sampled_from([(), ("city",)]))
def test_any_text_can_be_masked_twice(text: str, extra: tuple[str, ...]) -> None:
    masked, names = mask_text(text, extra=extra)
    again, names_again = mask_text(masked, extra=extra)
    assert (again, names_again) == (masked, names)
    assert names == sorted(set(names))


@examples(200)
@given(st.lists(TEXTS, max_size=8).map("".join))
def test_the_quick_look_overlooks_nothing(text: str) -> None:
    masker = text_module.TextMasker(frozenset(), SUBSTITUTE)
    assume(not might_hold_secret(text))
    masker.might = lambda _: True  # type: ignore[method-assign]
    assert (masker.mask(text), masker.names) == (text, set())


@examples(200)
@given(st.binary(max_size=40), ANY, st.binary(max_size=40))
def test_bytes_that_are_no_utf8_are_masked_around(before: bytes, secret: str, after: bytes) -> None:
    line = json.dumps({"password": secret}).encode()
    data = before + b"\xff\n\xff" + line + b"\n\xfe" + after + CANARY.encode()
    masked, names = mask_bytes(data)
    assert "password" in names
    assert MARK.encode() not in masked
    assert masked.startswith(before + b"\xff\n")
    assert masked.endswith(CANARY.encode())
    assert mask_bytes(masked) == (masked, names)


@examples(200)
@given(st.binary(max_size=200))
def test_any_bytes_can_be_masked(data: bytes) -> None:
    masked, names = mask_bytes(data)
    assert mask_bytes(masked) == (masked, names)
