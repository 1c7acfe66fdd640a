"""JSON of whatever a view, a form or a model holds: it never fails and is always valid JSON."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

_CONTAINERS = (dict, list, tuple, set, frozenset, msgspec.Struct, Mapping)

#: Deeper than this, a value is kept as its text.
MAX_DEPTH = 64


def encode(value: Any) -> bytes:
    """The JSON of an event or a value. What msgspec cannot encode becomes its text; NaN and infinities become null."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return _encoder.encode(plain(value))


def copied(value: Any) -> tuple[Any, bytes]:
    """`plain` of a value, and its JSON: made in C where what comes out is the same."""
    try:
        body = _exact.encode(value)
        copy = msgspec.json.decode(body)
        if copy == value:
            return copy, body
    except (TypeError, ValueError, OverflowError, RecursionError):
        pass
    copy = plain(value)
    return copy, encode(copy)


def plain(value: Any, depth: int = 0) -> Any:
    """`value` as JSON types only: str, int, float, bool, None, list, dict with str keys.

    Dates are ISO 8601, decimals and UUIDs text, bytes their length, files their name and size; a set is a list, other
    objects are their `str()`.
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _valid(value)
    if value is None or kind is bool or kind is int:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, _CONTAINERS):
        if depth > MAX_DEPTH:
            return _text(value)
        if isinstance(value, msgspec.Struct):
            value = {k: v for k, v in msgspec.structs.asdict(value).items() if v is not None}
        if isinstance(value, Mapping):
            return {
                key if type(key) is str and key.isascii() else _key(key): plain(item, depth + 1)
                for key, item in value.items()
            }
        return [plain(item, depth + 1) for item in value]
    return _other(value)


def _other(value: Any) -> Any:
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, msgspec.Raw):
        return plain(msgspec.json.decode(value))
    if hasattr(value, "chunks") and hasattr(value, "size"):
        return described_file(value)
    return _text(value)


def described_file(file: Any) -> str:
    """`<name, size>` of an uploaded file, whose content is never kept."""
    return f"<{_valid(str(getattr(file, 'name', None) or 'file'))}, {getattr(file, 'size', '?')} bytes>"


def _key(key: Any) -> str:
    return _valid(key) if isinstance(key, str) else _text(key)


def _text(value: Any) -> str:
    try:
        return _valid(str(value))
    except Exception:  # a `__str__` may raise anything
        return f"<{type(value).__name__}>"


def _valid(text: str) -> str:
    """`text` with lone surrogates, which UTF-8 cannot hold, replaced by `?`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return str(text)


_encoder = msgspec.json.Encoder(enc_hook=plain, decimal_format="string")
_exact = msgspec.json.Encoder(decimal_format="string")
