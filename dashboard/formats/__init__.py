"""The file formats of an export, one module each: blocks of rows in, pieces of a file out.

A writer knows nothing of where its rows come from, and needs no more memory than a block of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dashboard.blocks import Block
from dashboard.formats import csv, jsonl, parquet, xlsx
from dashboard.formats.table import Table

__all__ = ["FORMATS", "Format", "Table"]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file.

    Args:
        write: makes a table's rows a file. Its last argument gives what the file may tell of itself at its end.
        most_rows: what such a file can hold, 0 for any number.
        packed: whether it is compressed already.
    """

    suffix: str
    content_type: str
    write: Callable[[Table, Iterable[Block], Callable[[], dict[str, Any]]], Iterator[bytes]]
    most_rows: int = 0
    packed: bool = False


FORMATS = {
    made.suffix: made
    for made in (
        Format("csv", "text/csv; charset=utf-8", csv.write),
        Format(
            "xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            xlsx.write,
            most_rows=xlsx.MOST_ROWS,
            packed=True,
        ),
        Format("jsonl", "application/jsonl", jsonl.write),
        Format("parquet", "application/vnd.apache.parquet", parquet.write, packed=True),
    )
}
