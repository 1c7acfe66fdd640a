"""JSON Lines: a row per line as the JSON API gives it, payloads as JSON to the last digit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from dashboard import rows
from dashboard.blocks import Block
from dashboard.formats.table import Table


def write(table: Table, blocks: Iterable[Block], _about: Callable[[], dict[str, Any]]) -> Iterator[bytes]:
    """The file; times are RFC 3339 with the offset of the table's zone."""
    readers: list[tuple[str, Callable[[Any], Any]]] = [
        (
            column.name,
            {"json": _on_one_line, "time": lambda moment: moment.astimezone(table.zone)}.get(column.kind, _as),
        )
        for column in table.columns
    ]
    encode = msgspec.json.Encoder().encode
    for block in blocks:
        yield b"".join(encode({name: read(item[name]) for name, read in readers}) + b"\n" for item in block)


def _on_one_line(text: str) -> Any:
    value = rows.raw_json(text)
    if isinstance(value, msgspec.Raw) and ("\n" in text or "\r" in text):
        return msgspec.Raw(msgspec.json.format(text.encode(), indent=-1))
    return value


def _as(value: Any) -> Any:
    return value
