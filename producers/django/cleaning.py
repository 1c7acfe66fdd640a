"""Masks what a request holds, and walks through it only if its JSON might hold a secret: most does not."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from functools import lru_cache
from typing import Any

import msgspec

from schemas.masking import SUBSTITUTE, mask, might_hold_secret


def clean(value: Any, extra: Collection[str] = (), substitute: str = SUBSTITUTE) -> Any:
    """`value`, of JSON types or JSON itself (`msgspec.Raw`), without its secrets; the same object if there can be none.

    Args:
        extra: names of secrets beyond the patterns.
    """
    if type(value) is msgspec.Raw:
        if not _might(bytes(value), extra):
            return value
        parsed = _decode(value)
        masked = mask(parsed, extra=extra, substitute=substitute)[0]
        # Of a name that stands twice, only the last value was parsed; the text has both.
        return value if masked == parsed and _encode(parsed) == bytes(value) else masked
    if value in _EMPTY or not _value_might(value, extra):
        return value
    return mask(value, extra=extra, substitute=substitute)[0]


_EMPTY: tuple[Any, ...] = (None, "", [], {})
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def _value_might(value: Any, extra: Collection[str]) -> bool:
    try:
        body = _encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return True
    return _might(body, extra)


def _might(body: bytes, extra: Collection[str]) -> bool:
    """Whether JSON might hold a secret."""
    if might_hold_secret(body if body.isascii() else _without_accents(body.decode())):
        return True
    if extra:
        lowered = body.lower()
        for name, path in _names(tuple(extra)):
            if name in lowered and not (path and lowered.count(name) == lowered.count(path)):
                return True
    return False


@lru_cache(maxsize=256)
def _names(extra: tuple[str, ...]) -> tuple[tuple[bytes, bytes], ...]:
    """Names as they are looked for, each with how it looks as a part of a path, where it names nothing (`/api/v2/`).

    A name that is not ASCII has many spellings: it might be anywhere.
    """
    found = ((name.lower().encode(), name.isidentifier()) for name in extra if name.isascii())
    names = tuple((name, name + b"/" if plain else b"") for name, plain in found)
    return names if len(names) == len(extra) else ((b"", b""),)


def _without_accents(text: str) -> bytes:
    """A letter with an accent counts as that letter; what is no letter of ASCII then is left out."""
    try:
        return text.encode("latin-1").translate(_LETTERS, _OTHERS)
    except UnicodeEncodeError:
        return _bare(text)


def _bare(text: str) -> bytes:
    return unicodedata.normalize("NFD", text).encode("ascii", "ignore")


# The same for Latin-1, in a single step.
_OTHERS = bytes(code for code in range(256) if not _bare(chr(code)))
_LETTERS = b"".join(_bare(chr(code)) or b" " for code in range(256))
