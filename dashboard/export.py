"""Exports: all rows of a view as a file of some format, streamed, alone or in a ZIP with a manifest."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

from flask import Response
from flask_babel import gettext

from dashboard import metrics
from dashboard.ahead import ahead
from dashboard.blocks import Block, counted
from dashboard.clickhouse import QueryTooSlow
from dashboard.filters import N_, Query
from dashboard.formats import Format, Table
from dashboard.formats.table import Buffer
from dashboard.progress import Progress
from dashboard.state import state

log = logging.getLogger(__name__)

#: Names of masked fields that a manifest counts one by one.
MOST_MASKED = 500
TOO_MANY = N_(
    "This view has %(rows)s rows, and an export in this format holds %(most)s at most: narrow the view, "
    "or choose another format."
)


class TooManyRows(ValueError):
    """The view has more `rows` than a file may: `most`."""

    def __init__(self, rows: int, most: int) -> None:
        super().__init__(f"{rows} rows, at most {most}")
        self.rows = rows
        self.most = most


def total(query: Query, format: Format) -> int | None:
    """The number of rows of the view; None if ClickHouse takes too long to count them.

    Raises:
        TooManyRows: more than the setting or the format allows.
        StoreError: there is no answer.
    """
    one = replace(query, page=1, per_page=1, look=replace(query.look, columns=("event_id",)))
    try:
        rows = state().store.page(one, large=False).total
    except QueryTooSlow:
        return None
    if rows > (most := most_rows(format)):
        raise TooManyRows(rows, most)
    return rows


def most_rows(format: Format) -> int:
    """What the setting and the format allow."""
    limit = state().settings.export_rows
    return min(limit, format.most_rows) if format.most_rows else limit


def response(
    query: Query, format: Format, language: str, user: str, progress: Progress, *, manifest: bool = False
) -> Response:
    """All rows that match `query`, in its order and with its columns, as a download.

    If something fails in the middle, the connection is broken off, so that no part passes for the whole.

    Args:
        language: `es` or `en`, for what a spreadsheet writes differently in them.
        progress: kept up to date while the file is sent; its `total` must be there.
        manifest: send a ZIP of the file and `manifest.json`, which says what the file is.

    Raises:
        StoreError: reading fails before the first row.
    """
    table = Table(
        query.report,
        query.columns,
        query.zone,
        language,
        progress.total,
        gettext("⟨cut here: %(count)s characters in all; CSV, JSON Lines and Parquet have them⟩", count="{count}"),
    )
    reading = replace(query, look=replace(query.look, columns=_read(query)))
    blocks = state().store.stream(reading)
    # The first by the user's own thread: it may have to wait for the user's turn.
    first = next(blocks, None)
    name = filename(query, format.suffix)
    about = _about(query, format, name, language, user)
    export = _Export(table, format, name, about, progress, most_rows(format))
    everything = chain([first], ahead(blocks)) if first else iter(())
    pieces = export.packed(everything) if manifest else export.pieces(everything)
    answer = Response(pieces, content_type="application/zip" if manifest else format.content_type)
    download = f"{name}.zip" if manifest else name
    answer.headers["Content-Disposition"] = f'attachment; filename="{download}"'
    answer.headers["X-Accel-Buffering"] = "no"
    log.info("Exporting %s as %s", query.report.name, format.suffix)
    return answer


def filename(query: Query, suffix: str) -> str:
    """Names the report and the days, in the reader's zone."""
    days = [
        f"{word}-{moment.astimezone(query.zone):%Y-%m-%d}"
        for word, moment in (("from", query.since), ("to", query.until))
        if moment is not None
    ]
    days = days or [f"until-{dt.datetime.now(query.zone):%Y-%m-%d}"]
    return "_".join(["krill-logger", query.report.name, *days]) + f".{suffix}"


class _Export:
    """A file while it is sent."""

    def __init__(
        self, table: Table, format: Format, name: str, about: dict[str, Any], progress: Progress, most: int
    ) -> None:
        self._table = table
        self._format = format
        self._name = name
        self._about = about
        self._progress = progress
        self._most = most
        self._masked: Counter[str] = Counter()
        self._hash = hashlib.sha256()
        self._size = 0

    def pieces(self, blocks: Iterator[Block]) -> Iterator[bytes]:
        """The file in pieces, one per block or so."""
        report = self._table.report.name
        try:
            for piece in ahead(self._format.write(self._table, self._counted(blocks), self._told)):
                self._hash.update(piece)
                self._size += len(piece)
                yield piece
        except BaseException as error:
            self._progress.state = "failed"
            # The server ends the connection without the mark of a complete answer.
            if not isinstance(error, GeneratorExit):
                metrics.EXPORTS_ABORTED.labels(report).inc()
            raise
        self._progress.sha256 = self._hash.hexdigest()
        self._progress.state = "done"

    def packed(self, blocks: Iterator[Block]) -> Iterator[bytes]:
        """A ZIP with the file and then its manifest."""
        buffer = Buffer()
        how = zipfile.ZIP_STORED if self._format.packed else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(buffer, "w", how, compresslevel=4) as archive:  # type: ignore[call-overload]
            with archive.open(self._name, "w", force_zip64=True) as file:
                for piece in self.pieces(blocks):
                    file.write(piece)
                    yield buffer.take()
            told = self._told() | {"bytes": self._size, "sha256": self._hash.hexdigest()}
            archive.writestr("manifest.json", json.dumps(told, ensure_ascii=False, indent=2, default=_json) + "\n")
        yield buffer.take()

    def _counted(self, blocks: Iterator[Block]) -> Iterator[Block]:
        for block in blocks:
            for name, times in counted(block.arrays["masked"]):
                if name in self._masked or len(self._masked) < MOST_MASKED:
                    self._masked[name] += times
            if self._progress.rows + len(block) > self._most:
                raise TooManyRows(self._progress.rows + len(block), self._most)
            yield block
            self._progress.rows += len(block)
            metrics.EXPORTED_ROWS.labels(self._table.report.name).inc(len(block))

    def _told(self) -> dict[str, Any]:
        """What the file is, as far as it is known when its rows are written."""
        return self._about | {
            "rows": self._progress.rows,
            "masked_fields": dict(self._masked.most_common()),
            "cut_cells": self._table.cut_cells,
        }


def _read(query: Query) -> tuple[str, ...]:
    """The columns to read: those of the file, and what the manifest counts."""
    return tuple(dict.fromkeys((*(column.name for column in query.columns), "masked")))


def _about(query: Query, format: Format, name: str, language: str, user: str) -> dict[str, Any]:
    health = state().store.health()
    filters = {
        parameter: values
        for parameter, values in query.args().items()
        if parameter not in ("page", "per_page", "sort", "columns", "density", "times", "tz")
    }
    return {
        "report": query.report.name,
        "file": name,
        "format": format.suffix,
        "created_at": dt.datetime.now(query.zone).isoformat(timespec="seconds"),
        "created_by": user,
        "filters": filters,
        "from": _json(query.since.astimezone(query.zone)) if query.since else None,
        "to": _json(query.until.astimezone(query.zone)) if query.until else None,
        "sort": query.sort,
        "columns": [column.name for column in query.columns],
        "all_columns": len(query.columns) == len(query.report.columns),
        "time_zone": query.zone.key,
        "language": language,
        "data_until": _json(health["last_event_at"].astimezone(query.zone)) if health["last_event_at"] else None,
        "waiting_in_kafka": health["lag"],
        "dead_letters": health["dead_letters"],
        "worker": health["worker"],
    }


def _json(value: Any) -> str:
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)
