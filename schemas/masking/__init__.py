"""Masks secrets by pattern, at any depth, before anything is handed to Kafka or written to a table.

A field is a secret by its name (`names`), a text by what is written in it (`text`) or by its shape (`shapes`). The
whole value goes, of whatever type; null and what is empty stay, since they tell nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from schemas.masking.names import NAME_KEYS, VALUE_KEYS, is_secret, might_hold_secret
from schemas.masking.text import TextMasker

__all__ = ["MAX_DEPTH", "SUBSTITUTE", "is_secret", "mask", "mask_bytes", "mask_text", "might_hold_secret"]

#: What a secret is replaced with (drf-tracking's CLEANED_SUBSTITUTE).
SUBSTITUTE = "********************"

#: Containers in containers that are looked into; a deeper one is replaced as a whole.
MAX_DEPTH = 500


def mask(
    value: Any, *, extra: Collection[str] = (), substitute: str = SUBSTITUTE
) -> tuple[Any, list[str]]:
    """A copy of a JSON-like value without its secrets, and the sorted names of the fields that were masked.

    Tuples and sets become lists; what JSON does not know (a Decimal, a UUID, a datetime) is passed on as it is. Never
    raises for JSON-like values; masking twice gives the same as masking once.

    Args:
        extra: more names that hold secrets, as a whole and in any case.
    """
    walk = _Walk(extra, substitute)
    return walk.run(value), sorted(walk.text.names)


def mask_text(text: str, *, extra: Collection[str] = (), substitute: str = SUBSTITUTE) -> tuple[str, list[str]]:
    """`text` without the secrets in it, and their names; as `mask` does with the strings in a value."""
    masker = TextMasker(frozenset(name.lower() for name in extra), substitute)
    return masker.mask(text), sorted(masker.names)


def mask_bytes(data: bytes, *, extra: Collection[str] = (), substitute: str = SUBSTITUTE) -> tuple[bytes, list[str]]:
    """`data` without the secrets in it as far as it is text (UTF-8 or UTF-16), and their names. Bytes that are no
    text stay as they are."""
    if not extra and not might_hold_secret(data):
        return data, []
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding, "surrogatepass")
        except UnicodeDecodeError:
            continue
        masked, names = mask_text(text, extra=extra, substitute=substitute)
        return masked.encode(encoding, "surrogatepass"), names
    masked, names = mask_text(data.decode("utf-8", "surrogateescape"), extra=extra, substitute=substitute)
    return masked.encode("utf-8", "surrogateescape"), names


def _encodings(data: bytes) -> tuple[str, ...]:
    head = data[:4]
    if head[:2] == b"\xff\xfe" or head[1::2] == b"\0\0":
        return ("utf-16-le",)
    if head[:2] == b"\xfe\xff" or head[::2] == b"\0\0":
        return ("utf-16-be",)
    return ()


class _Walk:
    """One walk over a value, without recursion: `todo` grows while it is worked off."""

    def __init__(self, extra: Collection[str], substitute: str) -> None:
        self.text = TextMasker(frozenset(name.lower() for name in extra), substitute)
        self.todo: list[tuple[Any, Any, int]] = []

    def run(self, value: Any) -> Any:
        result = self._copy(value, 0, listed=True)
        for source, copy, depth in self.todo:
            if isinstance(copy, dict):
                self._fields(source, copy, depth)
            else:
                self._items(source, copy, depth)
        return result

    def _copy(self, value: Any, depth: int, listed: bool = False) -> Any:
        """`value` masked; a container comes back empty and is filled later.

        `["password", "x"]` is a name and its value inside a list (`listed`), as a tuple it always is; a list right
        under a name (`"fields": ["Password", "Email"]`) is a list of names.
        """
        if isinstance(value, str):
            return self.text.mask(value)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, msgspec.Struct):
            value = msgspec.structs.asdict(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            masked, names = mask_bytes(bytes(value), extra=self.text.extra, substitute=self.text.substitute)
            self.text.names.update(names)
            return masked
        copy: Any
        if isinstance(value, Mapping):
            copy = {}
        elif isinstance(value, (list, tuple, set, frozenset)):
            copy = []
            if (listed or isinstance(value, tuple)) and len(value) in (2, 3):
                first, *rest = value
                if isinstance(first, (str, bytes)) and (name := self.text.secret_name(_text(first))):
                    return [first, *(self._masked(name, item) for item in rest)]
        else:
            return value
        if depth >= MAX_DEPTH and value:
            return self.text.substitute
        self.todo.append((value, copy, depth + 1))
        return copy

    def _fields(self, source: Mapping[Any, Any], copy: dict[Any, Any], depth: int) -> None:
        told = self._told(source)
        for key, item in source.items():
            name = self.text.mask_name(key if isinstance(key, str) else str(key))
            if isinstance(key, str):
                key = name
            lowered = name.lower()
            if told is not None and lowered in NAME_KEYS and self._tells(item):
                copy[key] = self._copy(item, depth)
            elif told and lowered in VALUE_KEYS:
                copy[key] = self._masked(told, item)
            elif self.text.is_secret(name):
                copy[key] = self._masked(name, item)
            else:
                copy[key] = self._copy(item, depth)

    def _told(self, source: Mapping[Any, Any]) -> str | None:
        """The secret name that a name/value pair gives; empty if the name is no secret; None if this is no pair."""
        if len(source) < 2:
            return None
        lowered = {key.lower(): key for key in source if isinstance(key, str)}
        if VALUE_KEYS.isdisjoint(lowered) or NAME_KEYS.isdisjoint(lowered):
            return None
        told = [source[key] for low, key in lowered.items() if low in NAME_KEYS and self._tells(source[key])]
        return next(filter(None, map(self.text.secret_name, told)), "") if told else None

    def _tells(self, value: Any) -> bool:
        return isinstance(value, str) and self.text.is_name(value)

    def _items(self, source: Any, copy: list[Any], depth: int) -> None:
        for item in source:
            copy.append(self._copy(item, depth, listed=True))

    def _masked(self, name: str, value: Any) -> Any:
        if value is None or (not value and not isinstance(value, (bool, int, float))):
            return value
        self.text.report(name)
        return self.text.substitute


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
