"""CSV: right in a spreadsheet of the reader's language, and harmless there.

Most rows are written a column at a time, by Arrow. It leaves out those with anything that a spreadsheet has to be kept
from, and these are written cell by cell: so it need not know what to do with them, only which they are.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import lru_cache, reduce
from itertools import chain, groupby
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from dashboard import values
from dashboard.blocks import Block
from dashboard.columns import Column
from dashboard.formats.table import Table, heading

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_SEPARATORS = {"es": ";", "en": ","}
_DECIMAL_POINTS = {"es": ",", "en": "."}

# What a spreadsheet takes for a formula, also behind what it may drop from the beginning of a cell.
_FORMULA = re.compile(r"[\s\"'`´‘’“”\u200b-\u200f\u2060\ufeff\x00-\x1f]*[=+\-@\t\r＝＋－＠﹢﹣﹦﹫−]|[\t\r\n]")
# Every text that needs more than doubled quotes, and some others: one with what `values.show` spells out, and one that
# begins with anything but a letter, a digit or a bracket. (In RE2's notation; no text holds a surrogate.)
_INVISIBLE = (
    r"[\x00-\x08\x0b-\x1f\x7f-\x{9f}\x{ad}\x{61c}\x{180e}\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2060}-\x{206f}"
    r"\x{feff}\x{fff9}-\x{fffb}]"
)
_ODD_BEGINNING = r"^[^A-Za-z0-9\x{c0}-\x{24f}{\[(</]"
# Numbers whose notation differs: with an exponent, infinite, or none.
_ODD_NUMBER = "[ein]"

#: Rows that are written at once: what is in between then stays near the processor.
_ROWS = 20_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_HOUR = 3600
# Whole hours that make every time of the tables positive, since Arrow divides towards zero.
_SHIFT = 2**22 * _HOUR

#: Cells without the quotes around them, whether these belong there, and the rows whose cells are wrong, if any.
Cells = tuple[pa.Array, bool, pa.BooleanArray | None]


def write(table: Table, blocks: Iterable[Block], _about: Callable[[], dict[str, Any]]) -> Iterator[bytes]:
    """The file: `es` separates columns with `;` and decimals with a comma, `en` with `,` and a point.

    Times are `YYYY-MM-DD HH:MM:SS`; their zone stands in the headings.
    """
    separator = _SEPARATORS[table.language]
    headings = separator.join(_quoted(heading(column, table.zone)) for column in table.columns)
    yield f"{BOM}{headings}\r\n".encode()
    for part in chain.from_iterable(block.parts(_ROWS) for block in blocks):
        lines, odd = _lines(table, part)
        if odd is not None:
            lines = pc.replace_with_mask(lines, odd, pa.array(lines_by_cell(table, part.filter(odd)), pa.string()))
        yield memoryview(lines.buffers()[2])[: pc.sum(pc.binary_length(lines)).as_py()].tobytes()


def lines_by_cell(table: Table, block: Block) -> list[str]:
    """The line of each row, whatever it holds."""
    separator, point = _SEPARATORS[table.language], _DECIMAL_POINTS[table.language]
    writers = [(column.name, _writer(column, point, table.zone)) for column in table.columns]
    return [separator.join(write(item[name]) for name, write in writers) + "\r\n" for item in block]


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


def _lines(table: Table, block: Block) -> tuple[pa.StringArray, pa.BooleanArray | None]:
    """The line of each row, and the rows whose lines are wrong."""
    separator = _SEPARATORS[table.language]
    cells = [_cells(column, block.arrays[column.name], table) for column in table.columns]
    pieces: list[Any] = []
    # Neighbours are joined first, since what stands between them is the same.
    for quoted, group in groupby(cells, lambda cell: cell[1]):
        quote = '"' if quoted else ""
        together = pc.binary_join_element_wise(*(texts for texts, _, _ in group), f"{quote}{separator}{quote}")
        pieces += [separator + quote if pieces else quote, together, quote]
    lines = pc.binary_join_element_wise(*pieces, "\r\n", "")
    odd = [wrong for _, _, wrong in cells if wrong is not None and pc.any(wrong).as_py()]
    return lines, reduce(pc.or_, odd) if odd else None


def _cells(column: Column, array: pa.Array, table: Table) -> Cells:
    match column.kind:
        case "number":
            return _numbers(column, array, _DECIMAL_POINTS[table.language])
        case "time":
            return _times(array, table.zone)
        case "uuid" | "address":
            return array, True, None
        case "array":
            return _texts(pc.binary_join(array, ", "))
    if pa.types.is_dictionary(array.type):
        known = [_quoted(text)[1:-1] for text in array.dictionary.to_pylist()]
        return pa.array(known, pa.string()).take(array.indices), True, None
    return _texts(array)


def _texts(array: pa.StringArray) -> Cells:
    odd = pc.invert(pc.ascii_is_printable(array))
    if pc.any(odd).as_py():
        odd = pc.replace_with_mask(odd, odd, pc.match_substring_regex(array.filter(odd), _INVISIBLE))
    odd = pc.or_(odd, pc.match_substring_regex(array, _ODD_BEGINNING))
    if pc.any(pc.match_substring(array, '"')).as_py():
        array = pc.replace_substring(array, '"', '""')
    return array, True, odd


def _numbers(column: Column, array: pa.Array, point: str) -> Cells:
    text = array.cast(pa.string())
    if column.integer:
        return text, False, None
    wrong = pc.match_substring_regex(text, _ODD_NUMBER)
    # Arrow leaves out the zero behind the point.
    text = pc.if_else(pc.match_substring(text, "."), text, pc.binary_join_element_wise(text, ".0", ""))
    return pc.replace_substring(text, ".", point), False, wrong


def _times(array: pa.Array, zone: ZoneInfo) -> Cells:
    seconds = pc.divide(pc.add(array.cast(pa.int64()), _SHIFT * 1000), 1000)
    hours = pc.divide(seconds, _HOUR).dictionary_encode()
    offsets = pa.array([_offset(zone, hour) for hour in hours.dictionary.to_pylist()], pa.int64()).take(hours.indices)
    wrong = offsets.is_null() if offsets.null_count else None
    local = pc.subtract(pc.add(seconds, offsets.fill_null(0)), _SHIFT)
    return local.cast(pa.timestamp("s")).cast(pa.string()), False, wrong


@lru_cache(maxsize=2**15)
def _offset(zone: ZoneInfo, hour: int) -> int | None:
    """Seconds that the zone is ahead of UTC in an hour, counted as `_times` does; None if the clocks change in it."""
    begin = _EPOCH + dt.timedelta(seconds=hour * _HOUR - _SHIFT)
    first, last = ((begin + dt.timedelta(seconds=more)).astimezone(zone).utcoffset() for more in (0, _HOUR - 1))
    assert first is not None
    return int(first.total_seconds()) if first == last else None
