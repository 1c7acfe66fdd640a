"""CSV: right in a spreadsheet of the reader's language, and harmless there.

Most rows are written by Arrow. It leaves out those with anything that a spreadsheet has to be kept from, and these are
written cell by cell: so it need not know what to do with them, only which they are.
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

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import WriteOptions, write_csv

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
# By a text's first byte; those of letters from À to ȿ are 0xC3 to 0xC8.
_ODD_BEGINNING = np.ones(256, np.bool_)
_ODD_BEGINNING[[*b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789{[(</", *range(0xC3, 0xC9)]] = False
# Numbers whose notation differs: with an exponent, infinite, or none.
_ODD_NUMBER = "[ein]"

#: Rows that are written at once, and those that Arrow takes at a time: so what is in between stays near the processor.
_ROWS = 20_000
_BATCH = 1_000
# Stands for a separator where Arrow's lines end. Only the rows that it leaves out have such a character.
_END = "\x1f"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_HOUR = 3600
# Whole hours that make every time of the tables positive, since Arrow divides towards zero.
_SHIFT = 2**22 * _HOUR

#: What a column's cells are made from, and whether they are text that gets no quotes.
Cells = tuple[pa.Array, bool]


def write(table: Table, blocks: Iterable[Block], _about: Callable[[], dict[str, Any]]) -> Iterator[bytes]:
    """The file: `es` separates columns with `;` and decimals with a comma, `en` with `,` and a point.

    Times are `YYYY-MM-DD HH:MM:SS`; their zone stands in the headings.
    """
    separator = _SEPARATORS[table.language]
    headings = separator.join(_quoted(heading(column, table.zone)) for column in table.columns)
    yield f"{BOM}{headings}\r\n".encode()
    for part in chain.from_iterable(block.parts(_ROWS) for block in blocks):
        yield _written(table, part).replace(_END.encode(), separator.encode())


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


def _written(table: Table, block: Block) -> bytes:
    """The lines of a block, with some separators as `_END`."""
    cells, odd = _cells(table, block)
    if odd is None:
        return _bytes(_lines(table, cells))
    even = pc.invert(odd)
    lines = _lines(table, [(array.filter(even), bare) for array, bare in cells])
    lines = pc.replace_with_mask(pa.nulls(len(block), pa.string()), even, lines)
    return _bytes(pc.replace_with_mask(lines, odd, pa.array(lines_by_cell(table, block.filter(odd)), pa.string())))


def _lines(table: Table, cells: list[Cells]) -> pa.StringArray:
    """The lines of rows none of which is odd."""
    separator = _SEPARATORS[table.language]
    pieces: list[Any] = []
    left = len(cells)
    for bare, group in groupby(cells, lambda cell: cell[1]):
        arrays = [array for array, _ in group]
        left -= len(arrays)
        if bare:
            pieces += [pc.binary_join_element_wise(*arrays, separator), separator if left else "\r\n"]
        else:
            pieces.append(_joined(arrays, separator, _END if left else "\r\n"))
    return pc.binary_join_element_wise(*pieces, "") if len(pieces) > 1 else pieces[0]


def _joined(arrays: list[pa.Array], separator: str, end: str) -> pa.StringArray:
    """The columns as Arrow writes them: texts in quotes, and those in them doubled."""
    output = pa.BufferOutputStream()
    options = WriteOptions(include_header=False, batch_size=_BATCH, delimiter=separator, eol=end)
    write_csv(pa.Table.from_arrays(arrays, [str(number) for number in range(len(arrays))]), output, options)
    written = output.getvalue()
    ends = np.flatnonzero(np.frombuffer(written, np.uint8) == ord(end[0])) + len(end)
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), written)


def _bytes(lines: pa.StringArray) -> bytes:
    """All lines behind one another."""
    return memoryview(lines.buffers()[2])[: pc.sum(pc.binary_length(lines)).as_py() or 0].tobytes()


def _cells(table: Table, block: Block) -> tuple[list[Cells], pa.BooleanArray | None]:
    """The cells of each column, and the rows in which one is odd: those of these are wrong. None if there are none."""
    cells, odds = [], []
    for column in table.columns:
        array, bare, odd = _column(column, block.arrays[column.name], table)
        cells.append((array, bare))
        if odd is not None and pc.any(odd).as_py():
            odds.append(odd)
    return cells, reduce(pc.or_, odds) if odds else None


def _column(column: Column, array: pa.Array, table: Table) -> tuple[pa.Array, bool, pa.BooleanArray | None]:
    match column.kind:
        case "number":
            return (array, False, None) if column.integer else _decimals(array, _DECIMAL_POINTS[table.language])
        case "time":
            return _times(array, table.zone)
        case "uuid" | "address":
            return array, False, None
        case "array":
            array = pc.binary_join(array, ", ")
    if pa.types.is_dictionary(array.type):
        known = [_quoted(text)[1:-1].replace('""', '"') for text in array.dictionary.to_pylist()]
        return pa.array(known, pa.string()).take(array.indices), False, None
    return array, False, _odd(array)


def _odd(array: pa.StringArray) -> pa.BooleanArray:
    """Which texts need more than doubled quotes, and some others."""
    odd = pc.invert(pc.ascii_is_printable(array))
    if pc.any(odd).as_py():
        odd = pc.replace_with_mask(odd, odd, pc.match_substring_regex(array.filter(odd), _INVISIBLE))
    return pc.or_(odd, pa.array(_odd_beginnings(array)))


def _odd_beginnings(array: pa.StringArray) -> npt.NDArray[np.bool_]:
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int32)[array.offset :][: len(array) + 1]
    begins = ends[:-1]
    # The empty ones at the end have no byte.
    first = np.frombuffer(data, np.uint8)[np.minimum(begins, max(ends[-1] - 1, 0))] if ends[-1] else 0
    return _ODD_BEGINNING[first] & (ends[1:] > begins)


def _decimals(array: pa.Array, point: str) -> tuple[pa.Array, bool, pa.BooleanArray]:
    text = array.cast(pa.string())
    odd = pc.match_substring_regex(text, _ODD_NUMBER)
    # Arrow leaves out the zero behind the point.
    text = pc.if_else(pc.match_substring(text, "."), text, pc.binary_join_element_wise(text, ".0", ""))
    return pc.replace_substring(text, ".", point), True, odd


def _times(array: pa.Array, zone: ZoneInfo) -> tuple[pa.Array, bool, pa.BooleanArray | None]:
    seconds = pc.divide(pc.add(array.cast(pa.int64()), _SHIFT * 1000), 1000)
    hours = pc.divide(seconds, _HOUR).dictionary_encode()
    offsets = pa.array([_offset(zone, hour) for hour in hours.dictionary.to_pylist()], pa.int64()).take(hours.indices)
    odd = offsets.is_null() if offsets.null_count else None
    local = pc.subtract(pc.add(seconds, offsets.fill_null(0)), _SHIFT)
    return local.cast(pa.timestamp("s")), False, odd


@lru_cache(maxsize=2**15)
def _offset(zone: ZoneInfo, hour: int) -> int | None:
    """Seconds that the zone is ahead of UTC in an hour, counted as `_times` does; None if the clocks change in it."""
    begin = _EPOCH + dt.timedelta(seconds=hour * _HOUR - _SHIFT)
    first, last = ((begin + dt.timedelta(seconds=more)).astimezone(zone).utcoffset() for more in (0, _HOUR - 1))
    assert first is not None
    return int(first.total_seconds()) if first == last else None
