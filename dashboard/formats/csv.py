"""CSV: right in a spreadsheet of the reader's language, and harmless there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from dashboard import values
from dashboard.columns import Column
from dashboard.formats.table import Table, heading
from dashboard.rows import Item

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_SEPARATORS = {"es": ";", "en": ","}
_DECIMAL_POINTS = {"es": ",", "en": "."}

# What a spreadsheet takes for a formula, also behind what it may drop from the beginning of a cell.
_FORMULA = re.compile(r"[\s\"'`´‘’“”\u200b-\u200f\u2060\ufeff\x00-\x1f]*[=+\-@\t\r＝＋－＠﹢﹣﹦﹫−]|[\t\r\n]")


def write(table: Table, blocks: Iterable[list[Item]], _about: Callable[[], dict[str, Any]]) -> Iterator[bytes]:
    """The file: `es` separates columns with `;` and decimals with a comma, `en` with `,` and a point.

    Times are `YYYY-MM-DD HH:MM:SS`; their zone stands in the headings.
    """
    separator = _SEPARATORS[table.language]
    writers = [(column.name, _writer(column, _DECIMAL_POINTS[table.language], table.zone)) for column in table.columns]
    headings = separator.join(_quoted(heading(column, table.zone)) for column in table.columns)
    yield f"{BOM}{headings}\r\n".encode()
    for block in blocks:
        yield "".join(separator.join(write(item[key]) for key, write in writers) + "\r\n" for item in block).encode()


def _writer(column: Column, point: str, zone: ZoneInfo) -> Callable[[Any], str]:
    match column.kind:
        case "number":
            return str if column.integer else lambda number: _decimal(number).replace(".", point)
        case "time":
            return lambda moment: moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
        case "array":
            return lambda items: _quoted(", ".join(items))
        case _:
            return _quoted


def _decimal(number: float) -> str:
    text = repr(number)
    return format(Decimal(text), "f") if "e" in text else text


def _quoted(text: str) -> str:
    """A text cell; always in quotes, so that it stays one cell whatever separator the reader chooses."""
    # Most texts need none of this.
    if not (text.isascii() and text.isprintable() and text[:1].isalnum()):
        text = values.show(text.replace("\r\n", "\n"))
        if _FORMULA.match(text):
            text = f"'{text}"
    return '"' + text.replace('"', '""') + '"'
