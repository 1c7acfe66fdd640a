"""A report live: its new rows as server-sent events, for as long as somebody looks.

A stream takes a thread. So it ends after a while and the browser goes on where it ended; and where all places for
streams are taken, it ends at once and the browser comes back a little later. No row depends on it: the id of an event
is the position behind its rows.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Blueprint, Flask, Response, current_app, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user

from dashboard import i18n, tail
from dashboard.clickhouse import StoreError
from dashboard.filters import FilterErrors, Query, decode, parse
from dashboard.layouts import LAYOUTS, Layout
from dashboard.state import state
from dashboard.tail import News, Position
from dashboard.views import looks
from dashboard.views.reports import OF_THE_PAGE, of_the_rows

blueprint = Blueprint("live", __name__)

#: Streams at the same time: of all users, and of one.
MOST_STREAMS, MOST_OF_A_USER = 8, 3
#: How long a stream lasts, and how long it waits between two looks at what is new.
STREAM_SECONDS, LOOK_SECONDS = 30.0, 1.0
#: When a browser comes back: as a rule, and when there was no place or no answer.
RETRY_MS, LATER_MS = 1_000, 5_000
_EXTENSION = "krill_logger_live"


class Places:
    """Who holds a stream; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        #: Whether the server goes on; streams end soon after it does not.
        self.serving: Callable[[], bool] = lambda: True

    @contextmanager
    def one(self, user: str) -> Iterator[bool]:
        """Hold a place, if there is one for this user: then True."""
        with self._lock:
            free = self._held.total() < MOST_STREAMS and self._held[user] < MOST_OF_A_USER
            self._held[user] += free
        try:
            yield free
        finally:
            with self._lock:
                self._held[user] -= free


@blueprint.record_once
def _init(setup: Any) -> None:
    setup.app.extensions[_EXTENSION] = Places()


def serve_while(app: Flask, serving: Callable[[], bool]) -> None:
    """End streams soon after `serving()` is no longer true."""
    app.extensions[_EXTENSION].serving = serving


def show(layout: Layout) -> ResponseReturnValue:
    """The stream. `Last-Event-ID`, else the parameter `after`, says which rows are known."""
    report = layout.report
    address = looks.listed(report).dropping("after")
    try:
        args = decode(request.query_string)
        for name in (*OF_THE_PAGE, "after", "page"):
            args.poplist(name)
        query = parse(args, report, i18n.zone())
    except FilterErrors as wrong:
        return Response(str(wrong), 400, content_type="text/plain; charset=utf-8")
    known = tail.parse(request.headers.get("Last-Event-ID") or request.args.get("after", ""))
    if known is None:
        return Response("after: expected a position as an event's id says", 400, content_type="text/plain")
    i18n.use_zone(query.zone)
    i18n.use_times(query.look.times or looks.STANDARD.times)
    base = address.dropping(*OF_THE_PAGE)
    shown = of_the_rows(layout, query, base)
    places: Places = current_app.extensions[_EXTENSION]
    stream = _stream(layout, query, known, shown, places, str(current_user.name))
    response = Response(stream_with_context(stream), content_type="text/event-stream; charset=utf-8")
    # So that proxies pass on each event as it comes.
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _stream(
    layout: Layout, query: Query, known: Position, shown: dict[str, Any], places: Places, user: str
) -> Iterator[str]:
    with places.one(user) as free:
        end = time.monotonic() + (STREAM_SECONDS if free else 0)
        yield f"retry: {RETRY_MS if free else LATER_MS}\n\n"
        while True:
            try:
                until = state().store.stored(layout.report)
                if tail.moved(known, until):
                    news = News.of(looks.with_rows(layout, query), known, until)
                    page = state().store.news(news, read_json=str)
                    known = {**known, **tail.moved(known, until)}
                    yield _event(
                        page.total, known, render_template("rows.html", **shown, page=page) if page.total else ""
                    )
                else:
                    # Finds out whether somebody still listens.
                    yield ":\n\n"
            except StoreError as error:
                yield f"event: away\nretry: {LATER_MS}\ndata: {json.dumps(gettext(str(error)))}\n\n"
                return
            if time.monotonic() + LOOK_SECONDS > end or not places.serving():
                return
            time.sleep(LOOK_SECONDS)


def _event(total: int, position: Position, rows: str) -> str:
    data = {"total": total, "shown": min(total, tail.MOST_ROWS), "rows": rows}
    return f"event: rows\nid: {tail.written(position)}\ndata: {json.dumps(data)}\n\n"


for _layout in LAYOUTS:
    blueprint.add_url_rule(
        f"/{_layout.report.name}/live", f"{_layout.report.table}_live", show, defaults={"layout": _layout}
    )
