"""Masks what a request holds, and walks through it only if its JSON might hold a secret: most does not."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from typing import Any

import msgspec

from schemas.masking import SUBSTITUTE, mask, might_hold_secret


def clean(value: Any, extra: Collection[str] = (), substitute: str = SUBSTITUTE) -> Any:
    """`value`, of JSON types, without its secrets; the same object if there can be none.

    Args:
        extra: names of secrets beyond the patterns.
    """
    return value if value in _EMPTY or not _might(value, extra) else mask(value, extra=extra, substitute=substitute)[0]


_EMPTY: tuple[Any, ...] = (None, "", [], {})
_encode = msgspec.json.Encoder().encode


def _might(value: Any, extra: Collection[str]) -> bool:
    try:
        body = _encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return True
    if might_hold_secret(body):
        return True
    if not body.isascii():  # a letter with an accent counts as that letter
        bare = unicodedata.normalize("NFD", body.decode()).encode("ascii", "ignore")
        if might_hold_secret(bare):
            return True
    if extra:
        lowered = body.lower()
        for name in extra:
            if not name.isascii() or name.lower().encode() in lowered:
                return True
    return False
