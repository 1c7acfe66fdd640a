"""Masking by example: which names are secret, what stays readable, in every form that names and values are written."""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from schemas.events import FieldChange
from schemas.masking import MAX_DEPTH, SUBSTITUTE, is_secret, mask, mask_bytes, mask_text, might_hold_secret

S = SUBSTITUTE

# What Krill's API and admin call their fields.
KRILL_FIELDS = (
    "id cpename internal_id external_id realm customer tech model sn mac profile line_profile access "
    "active address city postalcode latitude longitude wifi_ssid pppoe_username notes created updated cli "
    "lineid order label context dtmf language username voicemail pbx_extension name surname country "
    "comment count next previous results attrs joins offset limit cursor status_code is_superuser "
    "last_login date_joined email groups user_permissions"
)


SECRET_NAMES = (
    "password wifi_password wifi_password2 pppoe_password voicemail_password PASSWORD userPassword passwd "
    "passphrase KeyPassphrase secret client_secret access_token csrfmiddlewaretoken authorization "
    "Proxy-Authorization credentials HTTP_AUTHORIZATION Cookie set-cookie sessionid session_id contraseña "
    "contrasena Contraseña_wifi clave clave_wifi key apiKey X-Api-Key APIKey api_key_1 apikey privatekey "
    "private.key pin PIN pin_code pinCode simPin pin2 psk wpa2Psk wpa_psk pwd userpwd pass wifi_pass otp "
    "totp cvv cvv2 cvc puk puk1 auth auth_user jwt sid cpe[wifi_password]"
)


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    f"{KRILL_FIELDS} monkey author mapping shipping_address keyboard opinion spinner compass passport bypass passive "
    "authority keyword turkey pinned spin sidebar residence wifiSSid BSSID essid potpourri option clavel".split(),
)
def test_names_of_no_secret(name: str) -> None:
    assert not is_secret(name)


def test_a_decomposed_accent_makes_no_difference() -> None:
    assert is_secret("contrasen\u0303a")


def test_what_stays_and_what_goes_in_a_value() -> None:
    at, key = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), uuid.uuid4()
    value = {
        "city": "Madrid",
        "n": [1, 2.5, True, None, at, key, Decimal("1.10")],
        "wifi_password": "x",
        "pin": 1234,
        "apiKey": {"a": ["b"]},
        "auth": False,
        "otp": 0,
        "secret": ["x"],
        "deep": [{"deeper": ({"token": "x", "city": "Lugo"},)}],
        "password": None,
        "passwd": "",
        "keys": [],
        "data": b'{"pwd": "x"}',
    }
    masked, names = mask(value)
    assert masked == {
        "city": "Madrid",
        "n": [1, 2.5, True, None, at, key, Decimal("1.10")],
        "wifi_password": S,
        "pin": S,
        "apiKey": S,
        "auth": S,
        "otp": S,
        "secret": S,
        "deep": [{"deeper": [{"token": S, "city": "Lugo"}]}],
        "password": None,
        "passwd": "",
        "keys": [],
        "data": f'{{"pwd": "{S}"}}'.encode(),
    }
    assert names == ["apiKey", "auth", "otp", "pin", "pwd", "secret", "token", "wifi_password"]
    assert mask(masked) == (masked, names)


def test_the_value_given_is_not_changed() -> None:
    value = {"a": [{"password": "x"}]}
    mask(value)
    assert value == {"a": [{"password": "x"}]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": "password", "value": "x"}, {"name": "password", "value": S}),
        ({"value": ["x"], "key": "password"}, {"value": S, "key": "password"}),
        ({"key": "city", "value": "Lugo"}, {"key": "city", "value": "Lugo"}),
        ({"key": "0a1b"}, {"key": S}),
        (
            {"field": "wifi_password", "old": "a", "new": None, "id": 1},
            {"field": "wifi_password", "old": S, "new": None, "id": 1},
        ),
        ({"Name": "a.WLAN.1.KeyPassphrase", "Value": "x"}, {"Name": "a.WLAN.1.KeyPassphrase", "Value": S}),
        (
            {"op": "replace", "path": "/wifi_password", "value": "x"},
            {"op": "replace", "path": "/wifi_password", "value": S},
        ),
        ([["password", "x"], ["city", "Lugo"]], [["password", S], ["city", "Lugo"]]),
        ([(b"authorization", b"Bearer x"), (b"host", b"h")], [[b"authorization", S], [b"host", b"h"]]),
        ({"pair": ("pin", 1)}, {"pair": ["pin", S]}),
        ([{"changed": {"fields": ["Password", "Email"]}}],) * 2,
        ({'{"password": "x"}': ""}, {f'{{"password": "{S}"}}': ""}),
        ({"detail": "Invalid token."},) * 2,
        ({"detail": "Token inválido."},) * 2,
        ({"password": ["This field may not be blank."]}, {"password": S}),
        ({"next": "https://h/api/v2/isp/cpes/?cursor=cD0yMDI2LTAx&limit=10&offset=20"},) * 2,
        ({"next": "https://h/?cursor=eyJvZmZzZXQiOjEwfQ&limit=10"},) * 2,
        ([FieldChange(field="pin", old="a", new="b")], [{"field": "pin", "old": S, "new": S}]),
    ],
)
def test_pairs_and_names_in_values(value: Any, expected: Any) -> None:
    masked, names = mask(value)
    assert masked == expected
    assert mask(masked) == (masked, names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # JSON, escaped, in JSON, cut, malformed
        ('{"a": 1, "wifi_password": "x", "b": 2}', f'{{"a": 1, "wifi_password": "{S}", "b": 2}}'),
        ('{"pin": 1, "psk": [1, {"a": "]"}], "b": 2}', f'{{"pin": "{S}", "psk": "{S}", "b": 2}}'),
        (r"{\"password\": \"x\\\"y\", \"b\": 2}", rf"{{\"password\": \"{S}\", \"b\": 2}}"),
        (r'"{\"b\": \"{\\\"password\\\": \\\"x\\\"}\"}"', rf'"{{\"b\": \"{{\\\"password\\\": \\\"{S}\\\"}}\"}}"'),
        (r'{"p\u0061ssword": "x"}', rf'{{"p\u0061ssword": "{S}"}}'),
        ('{"a": 1, "wifi_password": "hunt', f'{{"a": 1, "wifi_password": "{S}'),
        ('{"a": 1, "wifi_password": ["hunt", "er', f'{{"a": 1, "wifi_password": "{S}"'),
        ('{"a": "b\\npassword: hunt', f'{{"a": "b\\npassword: {S}'),
        ('{"password": hunter two, "b": 2}', f'{{"password": "{S}", "b": 2}}'),
        # printed Python
        ("{'wifi_password': 'x', \"pin\": 1, 'b': None}", f"{{'wifi_password': '{S}', \"pin\": \"{S}\", 'b': None}}"),
        ("{'password': \"it's\", 'b': 2}", f"{{'password': \"{S}\", 'b': 2}}"),
        ("<QueryDict: {'password': ['x'], 'b': ['2']}>", f"<QueryDict: {{'password': '{S}', 'b': ['2']}}>"),
        ("OrderedDict([('password', 'x'), ('b', 2)])", f"OrderedDict([('password', '{S}'), ('b', 2)])"),
        ("{'password': Secret('x', y=[1, 2]), 'b': 2}", f"{{'password': '{S}', 'b': 2}}"),
        # … and as pprint breaks long names
        ("{'name': 'my '\n  'password',\n 'value': 'x'}", f"{{'name': 'my '\n  'password',\n 'value': '{S}'}}"),
        ("{'value': 'x',\n 'key': 'my '\n  'pin'}", f"{{'value': '{S}',\n 'key': 'my '\n  'pin'}}"),
        ("{'key': 'x '\n  'y'}", f"{{'key': '{S}'}}"),
        ("{'key': 'x '\n  'y', 'value': 'z'}",) * 2,
        ("[('my '\n  'password', 'x')]", f"[('my '\n  'password', '{S}')]"),
        # query strings, forms, URLs
        ("a=b&password=x+y%26&c=d", f"a=b&password={S}&c=d"),
        ("?wifi%5Fpassword=x&c=d", f"?wifi%5Fpassword={S}&c=d"),
        ("cpe[pin]=x&c=d", f"cpe[pin]={S}&c=d"),
        ("d=%7B%22pin%22%3A%221%22%7D&c=d", f"d=%7B%22pin%22%3A%22{S}%22%7D&c=d"),
        ("%7B%22pin%22%3A%22x%22%7D=&c=d", f"%7B%22pin%22%3A%22{S}%22%7D=&c=d"),
        ("GET /x?token=x&c=d HTTP/1.1", f"GET /x?token={S}&c=d HTTP/1.1"),
        ("https://bob:x@host/p?c=d", f"https://bob:{S}@host/p?c=d"),
        ("redis://:a/b@host:6379/0", f"redis://:{S}@host:6379/0"),
        ("https://0123456789abcdef0123@sentry.io/1", f"https://{S}@sentry.io/1"),
        # headers, cookies, credentials under any name
        ("Authorization: Token demo\r\nHost: h", f"Authorization: {S}\r\nHost: h"),
        ("Cookie: sessionid=x; csrftoken=y\r\nHost: h", f"Cookie: {S}\r\nHost: h"),
        ("sent Bearer abc123def456 to h", f"sent Bearer {S} to h"),
        ("sent Basic ZGVtbzpkZW1v to h", f"sent Basic {S} to h"),
        ("sent Token 9944b09199c62bcf9418 to h", f"sent Token {S} to h"),
        ("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln b", f"a {S} b"),
        ("a eyJhbGciOiJIUzI1N", f"a {S}"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----\nb",
            f"-----BEGIN RSA PRIVATE KEY-----{S}-----END RSA PRIVATE KEY-----\nb",
        ),
        # XML
        ("<a><password>x</password><b>2</b></a>", f"<a><password>{S}</password><b>2</b></a>"),
        ('<n:a n:pin="1" b="2"/>', f'<n:a n:pin="{S}" b="2"/>'),
        ("<pin><![CDATA[1]]></pin><b>2</b>", f"<pin>{S}</pin><b>2</b>"),
        ('<param name="password">x</param><b>2</b>', f'<param name="password">{S}</param><b>2</b>'),
        (
            '<add key="city" value="Lugo"/><add key="pin" value="x"/>',
            f'<add key="city" value="Lugo"/><add key="pin" value="{S}"/>',
        ),
        (
            "<key>pin</key><string>x</string><key>city</key><string>Lugo</string>",
            f"<key>pin</key><string>{S}</string><key>city</key><string>Lugo</string>",
        ),
        ("<a><b>2</b><password>hunt", f"<a><b>2</b><password>{S}"),
        ("<token><token>x</token>y</token><b>2</b>", f"<token>{S}</token><b>2</b>"),
        (
            "{&quot;pin&quot;: &quot;x&quot;, &quot;b&quot;: 2}",
            f"{{&quot;pin&quot;: &quot;{S}&quot;, &quot;b&quot;: 2}}",
        ),
        # tracebacks and databases
        ("    password = 'x'\n    city = 'Lugo'", f"    password = '{S}'\n    city = 'Lugo'"),
        ("login(user='bob', password='x', b=2)", f"login(user='bob', password='{S}', b=2)"),
        ("Key (realm, wifi_password)=(pim, x) already exists.", f"Key (realm, wifi_password)=({S}) already exists."),
        ("Key (sn)=(HG12) already exists.",) * 2,
        ("DETAIL:  Failing row contains (1, pim0585, x, null).", f"DETAIL:  Failing row contains ({S})."),
        ("INSERT INTO cpe (id, pin) VALUES (1, 'x')", f"INSERT INTO cpe (id, pin) VALUES ({S})"),
        ("Duplicate entry 'x' for key 'cpe.pin'", f"Duplicate entry '{S}' for key 'cpe.pin'"),
        ("KeyError: 'city'",) * 2,
        ("TypeError: f() got an unexpected keyword argument 'password'",) * 2,
        # configuration, shell
        ("city: Lugo\npassword: x y, z\nb: 2", f"city: Lugo\npassword: {S}\nb: 2"),
        (
            "- name: password\n  value: x\n- name: city\n  value: Lugo",
            f"- name: password\n  value: {S}\n- name: city\n  value: Lugo",
        ),
        ("secret: |\n  a\n  b\ncity: Lugo", f"secret: |\n  {S}\ncity: Lugo"),
        ("run --password=x --city Lugo", f"run --password={S} --city Lugo"),
        ("run --password x --city Lugo", f"run --password {S} --city Lugo"),
        ("['run', '--password', 'x', '--city', 'Lugo']", f"['run', '--password', '{S}', '--city', 'Lugo']"),
        ("PASSWORD=x\nCITY=Lugo", f"PASSWORD={S}\nCITY=Lugo"),
        ("pin: 'a' -> 'b'\nc: d", f"pin: {S}\nc: d"),
        ("Contraseña: x", f"Contraseña: {S}"),
        # prose
        ("the key to success: pin the tail",) * 2,
        ("Token inválido.",) * 2,
        ("Invalid token.",) * 2,
        ("Authentication credentials were not provided.",) * 2,
        ("Plan Basic 100Mbps-fibra",) * 2,
        ("Changed Password, wifi_password and PIN.",) * 2,
        ('File "/django/contrib/auth/backends.py", line 42, in authenticate',) * 2,
        ("http://127.0.0.1:8000/api/v2/auth/token/",) * 2,
    ],
)
def test_texts(text: str, expected: str) -> None:
    masked, names = mask_text(text)
    assert masked == expected
    assert mask_text(masked) == (masked, names)
    assert mask_bytes(text.encode()) == (masked.encode(), names)
    if masked != text:
        assert might_hold_secret(text)
        assert might_hold_secret(json.dumps({"a": text}).encode())


def test_multipart() -> None:
    body = (
        "--b1\r\nContent-Disposition: form-data; name={}\r\n\r\n{}\r\n--b1\r\n"
        'Content-Disposition: form-data; name="city"\r\n\r\nLugo\r\n--b1--\r\n'
    )
    assert mask_text(body.format('"password"', "x\r\n--y")) == (body.format('"password"', S), ["password"])
    inner = body.format('"data"', '{"pin": 1}')
    assert mask_text(inner) == (body.format('"data"', f'{{"pin": "{S}"}}'), ["pin"])


def test_names_are_reported_as_they_stand_sorted_unique_and_not_too_long() -> None:
    long = "password" + "x" * 1000
    assert mask([{"wifi_password": 1}, {"Wifi_Password": 2}, {"wifi_password": 3}, {long: 1}])[1] == [
        "Wifi_Password",
        long[:200],
        "wifi_password",
    ]


def test_what_has_no_name_is_masked_without_one() -> None:
    assert mask({"note": "Bearer abc123def456"}) == ({"note": f"Bearer {S}"}, [])


def test_a_reported_name_holds_no_secret() -> None:
    _, names = mask({'{"password": "hunter2"}': "x", "Bearer abc123def456": "y"})
    assert "hunter2" not in str(names)
    assert "abc123" not in str(names)


def test_extra_names_are_exact_and_in_any_case() -> None:
    value = {"Field_1": "x", "field_12": "y", "t": '{"FIELD_1": "x"}', "q": "field_1=x&b=2"}
    masked, names = mask(value, extra={"FIELD_1"})
    assert masked == {"Field_1": S, "field_12": "y", "t": f'{{"FIELD_1": "{S}"}}', "q": f"field_1={S}&b=2"}
    assert names == ["FIELD_1", "Field_1", "field_1"]
    assert mask_text("city: Lugo", extra=["city"]) == (f"city: {S}", ["city"])
    assert mask_bytes(b"city: Lugo", extra=["city"]) == (f"city: {S}".encode(), ["city"])


def test_another_substitute() -> None:
    assert mask({"pin": 1, "t": "{'pin': 'x'}"}, substitute="<hidden>") == (
        {"pin": "<hidden>", "t": "{'pin': '<hidden>'}"},
        ["pin"],
    )
    assert json.loads(mask_text('{"pin": 1}', substitute='a"b')[0]) == {"pin": 'a"b'}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-16"])
def test_bytes_of_other_encodings(encoding: str) -> None:
    text = '{"city": "Málaga", "contraseña": "hunter2"}'
    masked, names = mask_bytes(text.encode(encoding))
    assert masked.decode(encoding) == text.replace("hunter2", S)
    assert names == ["contraseña"]


def test_bytes_that_are_no_text_stay() -> None:
    data = bytes(range(256)) * 4
    assert mask_bytes(data) == (data, [])


def test_a_container_that_is_too_deep_is_replaced() -> None:
    value: Any = {"password": "x", "city": "Lugo"}
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    masked, names = mask(value)
    for _ in range(MAX_DEPTH - 1):
        masked = masked[0]
    assert (masked, names) == ({"password": S, "city": "Lugo"}, ["password"])

    deeper: Any = []
    for _ in range(100_000):
        deeper = [deeper]
    masked, _ = mask({"a": deeper, "pin": 1})
    assert masked["pin"] == S
    depth, inner = 0, masked["a"]
    while isinstance(inner, list):
        depth, inner = depth + 1, inner[0]
    assert (depth, inner) == (MAX_DEPTH - 1, S)


def test_deep_json_text_is_masked_at_its_bottom() -> None:
    text = "[" * 100_000 + '{"password": "x"}' + "]" * 100_000
    assert mask_text(text) == (text.replace('"x"', f'"{S}"'), ["password"])


def test_text_nested_too_deep_is_replaced() -> None:
    text = '{"password": "hunter2"}'
    for _ in range(9):
        text = json.dumps(text)
    masked, _ = mask_text(text)
    assert "hunter2" not in masked
    text = "password=hunter2"
    for _ in range(40):
        text = "a=" + text.replace("%", "%25").replace("=", "%3D")
    masked, _ = mask_text(text)
    assert "hunter2" not in masked


@pytest.mark.parametrize(
    "value",
    [
        None,
        0,
        1.5,
        float("nan"),
        "",
        b"",
        (),
        {},
        "\ud800",
        "\0",
        {1: 2, None: 3, "\ud800": "\udfff"},
        10**400,
        {1},
        "a" * 10**6,
    ],
)
def test_nothing_raises_and_nothing_changes(value: Any) -> None:
    masked, names = mask(value)
    assert names == []
    assert masked == ([*value] if isinstance(value, (tuple, set)) else value) or value != value


HOSTILE: dict[str, Callable[[], str]] = {
    "pairs": lambda: "a=" * 500_000,
    "quotes": lambda: '"' * 1_000_000,
    "apostrophes": lambda: " 'a" * 330_000,
    "brackets": lambda: "{" * 1_000_000,
    "tags": lambda: "<a" * 300_000,
    "secret tags": lambda: "<pin>" * 200_000,
    "secret tags on lines": lambda: "x<pin>\n" * 140_000,
    "many secret tags": lambda: "".join(f"\n<pin{i}>" for i in range(80_000)),
    "attributes": lambda: '<a b="' * 160_000,
    "backslashes": lambda: "\\" * 1_000_000,
    "escaped quotes": lambda: '\\"' * 500_000,
    "quotes at all levels": lambda: "".join("\\" * (i % 64) + '"' for i in range(30_000)),
    "names": lambda: "pin=" * 250_000,
    "names and brackets": lambda: "pin: a(, " * 110_000,
    "names and open brackets": lambda: "pin:(\n" * 160_000,
    "names and quotes": lambda: "pin='a " * 140_000,
    "names and escaped quotes": lambda: '\\"pin\\": \\"' * 80_000,
    "lists": lambda: "[['pin'," * 120_000,
    "pairs in pairs": lambda: '{"value":' * 40_000 + "1" + ',"name":"pin"}' * 40_000,
    "keys": lambda: "key: a " * 140_000,
    "values": lambda: "value: a " * 110_000 + "name: pin",
    "percent": lambda: "%25" * 330_000,
    "entities": lambda: "&quot;" * 160_000,
    "escaped entities": lambda: "&amp;" * 200_000,
    "URLs": lambda: "://a:b" * 160_000 + "@",
    "tokens": lambda: "eyJ" * 330_000 + ".",
    "schemes": lambda: "bearer " * 140_000,
    "columns": lambda: "(pin)=(" * 140_000,
    "rows": lambda: "failing row contains (" * 47_000,
    "private keys": lambda: "-----BEGIN PRIVATE KEY-----" * 38_000,
    "parts": lambda: "form-data; name=x\n" * 55_000,
    "options": lambda: "--pin " * 160_000,
    "blanks": lambda: "pin" + " " * 1_000_000,
    "blanks in lists": lambda: ("[" + " " * 900) * 1_100,
    "words": lambda: "password" * 125_000,
    "NULs": lambda: "\0" * 1_000_000,
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_megabyte_of_hostile_text_takes_linear_time(hostile: str) -> None:
    """A quadratic step in a megabyte takes minutes; the bound leaves room for a slow and busy machine."""
    text = HOSTILE[hostile]()
    for framed in (text, f'password: x\n{text}\n{{"password": "', f"{{'x': '{text}'}}"):
        started = time.process_time()
        mask_text(framed)
        assert time.process_time() - started < 6
