"""Which names hold a secret, and a quick look whether a text can hold one at all."""

from __future__ import annotations

import re
import unicodedata
from enum import IntEnum
from functools import lru_cache

#: Longest name that is reported, in characters.
MAX_NAME = 200

# Match anywhere in a name, in any case. `contrase.{1,8}?a` is contraseña, contrasena, contrasenya and what escaping
# makes of the ñ (`\u00f1`, `%C3%B1`, `&ntilde;`).
_LONG_WORDS = re.compile(
    r"passw(?:or)?d|passphrase|passcode|passkey|pwd|secret|token|authori[sz]ation|credential|contrase.{1,8}?a"
    r"|cookie|session[ _.-]?id|(?:user|admin|root|wi-?fi|db)pass"
    r"|(?:api|auth|access|private|secret|shared|session|master|signing|crypt|cryption|wpa2?|wep|wi-?fi|ssh)keys?",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)

# Match as a word of a name. Deliberately not here: `passport` (a number, not a credential), `pan`, `code`, `hash`.
_SHORT_WORDS = frozenset(
    (
        "key",
        "keys",
        "pin",
        "pins",
        "psk",
        "pass",
        "pw",
        "otp",
        "totp",
        "cvv",
        "cvc",
        "puk",
        "auth",
        "oauth",
        "jwt",
        "sid",
        "clave",
        "claves",
        "csrf",
        "bearer",
    )
)

# The words of a name: snake, kebab, dotted and camel case, digits between them. `SSID` is one word and never `sid`.
_WORD = re.compile(r"[BE]?SS[Ii][Dd]|[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

#: Every word above, escaped forms, and the shapes that are secret under any name hold a match of this in lower case.
#: A regular expression for engines that know no lookbehind, such as RE2.
HINTS = (
    r"pass|pin|pw|psk|puk|otp|key|token|cre[td]|cookie|cv[vc]|clave|csrf|contrase|uth|bearer|basic|sid|nid|n.id|jwt|eyj"
    r"|://[^\s\"'<>@]*@|%[2-7]|\\(?:u00|x|/)|&(?:#|quot|apos|colon|sol|commat)|failing row|\x00"
)

# The same for Python. First letters that are rare and few make its search fast.
_ANCHORS = (
    r"p(?:ass|in|w|sk|uk|(?<=otp))|k(?:ey|(?<=tok)en)|c(?:re[td]|ookie|v[vc]|lave|srf|ontrase)|uth|bearer|basic"
    r"|d(?:(?<=sid)|(?<=nid)|(?<=n.id))|j(?:wt|(?<=eyj))|://[^\s\"'<>@]*+@|%[2-7]|\\(?:u00|x|/)"
    r"|&(?:#|quot|apos|colon|sol|commat)|failing row|\x00"
)
_ANCHOR_IN_TEXT = re.compile(_ANCHORS)
_ANCHOR_IN_BYTES = re.compile(_ANCHORS.encode())

#: What a name looks like where any text could stand, as in a name/value pair.
NAME_LIKE = re.compile(rf"(?=.*[^\W\d_])[\w \-.\[\]()/]{{1,{MAX_NAME}}}")

#: `{"name": "password", "value": "x"}`: fields that hold a name …
NAME_KEYS = frozenset(
    (
        "name",
        "names",
        "key",
        "k",
        "field",
        "fieldname",
        "field_name",
        "param",
        "parameter",
        "parametername",
        "attribute",
        "attr",
        "property",
        "variable",
        "var",
        "option",
        "setting",
        "header",
        "column",
        "label",
        "id",
        "type",
        "path",
        "nombre",
        "campo",
        "clave",
    )
)
#: … and fields that hold that name's value.
VALUE_KEYS = frozenset(
    (
        "value",
        "values",
        "val",
        "v",
        "old",
        "new",
        "old_value",
        "new_value",
        "oldvalue",
        "newvalue",
        "before",
        "after",
        "from",
        "to",
        "valor",
        "valores",
    )
)


def might_hold_secret(text: str | bytes) -> bool:
    """False if `mask`, `mask_text` and `mask_bytes` would certainly change nothing in `text`, or in the value whose
    JSON it is (names given as `extra` apart). One pass at some 5 ns per character."""
    if isinstance(text, str):
        return _ANCHOR_IN_TEXT.search(text.lower()) is not None
    return _ANCHOR_IN_BYTES.search(text.lower()) is not None


def is_secret(name: str) -> bool:
    """Whether a field of this name holds a secret: `wifi_password2`, `apiKey`, `X-Api-Key`, `contraseña`, `pin_code`
    do; `monkey`, `author`, `mapping`, `shipping_address`, `compass`, `passport` do not."""
    return _is_secret(name) if len(name) <= MAX_NAME else _is_secret.__wrapped__(name)


@lru_cache(maxsize=8192)
def _is_secret(name: str) -> bool:
    if not name.isascii():
        name = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    if _LONG_WORDS.search(name):
        return True
    return any(word.lower() in _SHORT_WORDS for word in _WORD.findall(name))


def is_plain_name(name: str) -> bool:
    """Whether a field's name is no more than that. What a body was parsed to that is something else can stand in a
    name (`{'{"pin": 1}': ''}`), and a token can."""
    return len(name) <= 40 and name.isidentifier()


class Kind(IntEnum):
    """What a field's name tells about its value."""

    PLAIN = 0
    SECRET = 1
    NAME = 2  # holds a name, if a VALUE stands beside it
    VALUE = 3
    ODD = 4  # no identifier: the name may hold a secret itself


def kind(name: object) -> Kind:
    """The kind of a field's name."""
    return _kind(name) if isinstance(name, str) and len(name) <= MAX_NAME else Kind.ODD


@lru_cache(maxsize=8192)
def _kind(name: str) -> Kind:
    lowered = name.lower()
    if lowered in NAME_KEYS:
        return Kind.NAME
    if lowered in VALUE_KEYS:
        return Kind.VALUE
    if not is_plain_name(name):
        return Kind.ODD
    return Kind.SECRET if is_secret(name) else Kind.PLAIN
