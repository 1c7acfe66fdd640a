"""Reports as CSV: streamed, whole, right in a spreadsheet of the reader's language, and harmless there."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response

from dashboard import metrics, values
from dashboard.columns import Column
from dashboard.filters import Query
from dashboard.rows import Item
from dashboard.state import state

log = logging.getLogger(__name__)

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_SEPARATORS = {"es": ";", "en": ","}
_DECIMAL_POINTS = {"es": ",", "en": "."}

# What a spreadsheet takes for a formula, also behind what it may drop from the beginning of a cell.
_FORMULA = re.compile(r"[\s\"'`´‘’“”\u200b-\u200f\u2060\ufeff\x00-\x1f]*[=+\-@\t\r＝＋－＠﹢﹣﹦﹫−]|[\t\r\n]")


def csv_response(query: Query, language: str, zone: ZoneInfo) -> Response:
    """All rows that match `query`, in its order, as a download.

    If reading fails in the middle, the connection is broken off, so that no part passes for the whole.

    Args:
        language: `es` separates columns with `;` and decimals with a comma, `en` with `,` and a point.
        zone: of the times, which are written as `YYYY-MM-DD HH:MM:SS`; its name stands in the headings.

    Raises:
        StoreError: reading fails before the first row.
    """
    blocks = state().store.stream(query)
    first = next(blocks, [])
    name = query.report.name
    response = Response(_lines(query, chain([first], blocks), language, zone), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{_filename(query, zone)}"'
    response.headers["X-Accel-Buffering"] = "no"
    log.info("Exporting %s", name)
    return response


def _lines(query: Query, blocks: Iterator[list[Item]], language: str, zone: ZoneInfo) -> Iterator[str]:
    """The CSV's text in pieces, one per block."""
    name, separator = query.report.name, _SEPARATORS[language]
    writers = [(column.name, _writer(column, _DECIMAL_POINTS[language], zone)) for column in query.report.columns]
    try:
        yield (BOM + separator.join(_quoted(_heading(column, zone)) for column in query.report.columns) + "\r\n")
        for block in blocks:
            yield "".join(separator.join(write(item[key]) for key, write in writers) + "\r\n" for item in block)
            metrics.EXPORTED_ROWS.labels(name).inc(len(block))
    except GeneratorExit:
        raise
    except BaseException:
        # The server ends the connection without the mark of a complete answer.
        metrics.EXPORTS_ABORTED.labels(name).inc()
        raise


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


def _heading(column: Column, zone: ZoneInfo) -> str:
    return f"{column.name} ({zone.key})" if column.kind == "time" else column.name


def _filename(query: Query, zone: ZoneInfo) -> str:
    days = [
        f"{word}-{moment.astimezone(zone):%Y-%m-%d}"
        for word, moment in (("from", query.since), ("to", query.until))
        if moment is not None
    ]
    days = days or [f"until-{dt.datetime.now(zone):%Y-%m-%d}"]
    return "_".join(["krill-logger", query.report.name, *days]) + ".csv"
