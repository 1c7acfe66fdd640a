"""Rows as ClickHouse gives them made into items: dicts by column name with Python values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from dashboard.columns import Column

Item = dict[str, Any]


class Cut(str):
    """The beginning of a value that is too long where it is shown; `size` is the whole size in bytes."""

    __slots__ = ("size",)
    size: int

    @classmethod
    def of(cls, text: str, size: int) -> Cut:
        """`text` of a value that has `size` bytes."""
        cut = cls(text)
        cut.size = size
        return cut


def text(value: Any) -> str:
    """A String or Enum value; bytes that are not UTF-8 are replaced."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def address(value: str) -> str:
    """An IPv6 column's value: IPv4 plain, nothing for `::`."""
    return "" if value == "::" else value.removeprefix("::ffff:")


def parse_json(value: str) -> Any:
    """The value of JSON text; None for the empty string, the text itself if it is not JSON."""
    if not value:
        return None
    try:
        return msgspec.json.decode(value)
    except (ValueError, RecursionError):
        return value


def raw_json(value: str) -> msgspec.Raw | str | None:
    """JSON text to be embedded in JSON as it is, to the last digit; see `parse_json`."""
    return msgspec.Raw(value.encode()) if value and parse_json(value) is not value else value or None


def _same(value: Any) -> Any:
    return value


_READ: dict[str, Callable[[Any], Any]] = {
    "text": text,
    "enum": text,
    "json": text,
    "address": address,
    "array": lambda values: [text(value) for value in values],
    "number": _same,
    "uuid": str,
    "time": _same,
}


def items(columns: Sequence[Column], rows: Sequence[Sequence[Any]], read_json: Callable[[str], Any]) -> list[Item]:
    """One dict per row.

    Args:
        rows: values of `columns` in their order.
        read_json: what to make of the text of a JSON column.
    """
    readers = [(column.name, _READ[column.kind], column.kind == "json") for column in columns]
    return [
        {
            name: read_json(read(value)) if is_json else read(value)
            for (name, read, is_json), value in zip(readers, row, strict=False)
        }
        for row in rows
    ]
