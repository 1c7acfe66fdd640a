"""What is shown when a page cannot be: not found, not allowed, ClickHouse away, or a fault of ours."""

from __future__ import annotations

import math
import time

from flask import Flask, Response, current_app, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext
from flask_limiter import RateLimitExceeded
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from dashboard.clickhouse import StoreError
from dashboard.security import reset_at, safe_next


def init_app(app: Flask) -> None:
    """Register the error pages."""
    app.register_error_handler(StoreError, _store)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(RateLimitExceeded, _too_many)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _fault)


def _page(status: int, title: str, text: str, *, retry: bool = False) -> Response:
    response = make_response(render_template("error.html", status=status, title=title, text=text, retry=retry), status)
    if retry:
        response.headers["Retry-After"] = "5"
    return response


def _store(error: StoreError) -> ResponseReturnValue:
    titles = {503: gettext("The data cannot be reached"), 504: gettext("The query took too long")}
    titles[429] = gettext("Not now")
    title = titles.get(error.status, gettext("The answer is too large"))
    return _page(error.status, title, gettext(str(error)), retry=True)


def _csrf(_error: CSRFError) -> ResponseReturnValue:
    text = gettext("The form is no longer valid, perhaps because the session ended. Go back, reload and send it again.")
    return _page(400, gettext("The form has expired"), text)


def _too_many(_error: RateLimitExceeded) -> ResponseReturnValue:
    seconds = max(1, math.ceil(reset_at() - time.time()))
    minutes = round(seconds / 60)
    wait = (
        ngettext("Try again in %(num)s second.", "Try again in %(num)s seconds.", seconds)
        if seconds <= 60
        else ngettext("Try again in %(num)s minute.", "Try again in %(num)s minutes.", minutes)
    )
    text = gettext("Too many failed attempts.") + " " + wait
    if request.endpoint == "auth.login":
        page = render_template(
            "login.html", next=safe_next(request.form.get("next")), name=request.form.get("name", ""), error=text
        )
    else:
        page = render_template("error.html", status=429, title=gettext("Not now"), text=text)
    response = make_response(page, 429)
    response.headers["Retry-After"] = str(seconds)
    return response


def _http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status < 400:
        return error
    # `description` is ours only where a view gave one.
    own = error.description if error.description != type(error).description else None
    title, text = {
        404: (gettext("Not found"), gettext("There is no such page.")),
        405: (gettext("Not found"), gettext("There is no such page.")),
        413: (gettext("Too large"), gettext("What was sent is too large.")),
    }.get(status, (gettext("That did not work"), gettext("The request cannot be understood.")))
    return _page(status, title, own or text)


def _fault(error: Exception) -> ResponseReturnValue:
    current_app.logger.error("%s %s failed", request.method, request.path, exc_info=error)
    text = gettext("This is a fault of Krill Logger, not yours; it is in the server's log.")
    return _page(500, gettext("Something went wrong"), text)
