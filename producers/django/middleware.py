"""Records every request to the API, also those that reach no view, and says who acts to what happens within."""

from __future__ import annotations

import datetime as dt
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.signals import got_request_exception
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from producers import kafka
from producers.django import bodies, context, record
from producers.django.conf import conf
from schemas.events import ApiRequest

_TRACEBACK = "krill_logger_traceback"


class RequestLoggingMiddleware:
    """Put it first in `MIDDLEWARE`, so that it sees what the others refuse. Works under WSGI and ASGI.

    It records the requests below `KRILL_LOGGER["API_PREFIXES"]`; for all requests it answers with `X-Request-ID` and
    tells the recording of model changes who acts.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._async = iscoroutinefunction(get_response)
        if self._async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._async:
            return self._acall(request)
        seen = _Request(request)
        token = context.current_request.set(request)
        try:
            response = cast(HttpResponseBase, self.get_response(request))
        finally:
            context.current_request.reset(token)
        seen.answered(response)
        return response

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        seen = _Request(request)
        token = context.current_request.set(request)
        try:
            response = cast(HttpResponseBase, await self.get_response(request))
        finally:
            context.current_request.reset(token)
        seen.answered(response)
        return response


class _Request:
    """One request from its arrival to its answer."""

    __slots__ = ("recorded", "request", "requested_at", "started")

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.requested_at = dt.datetime.now(dt.UTC)
        self.started = time.perf_counter()
        try:
            self.recorded = request.path_info.startswith(tuple(conf().API_PREFIXES))
            if self.recorded:
                bodies.keep(request)
        except Exception as error:
            kafka.failed("capture_errors", f"a request's body could not be kept: {error!r}")

    def answered(self, response: HttpResponseBase) -> None:
        milliseconds = (time.perf_counter() - self.started) * 1000
        try:
            response.headers.setdefault("X-Request-ID", context.request_id(self.request))
            if self.recorded and record.DECIDED not in self.request.__dict__:
                self._record(response, milliseconds)
        except Exception as error:
            kafka.failed("capture_errors", f"a request could not be recorded: {error!r}")

    def _record(self, response: HttpResponseBase, milliseconds: float) -> None:
        request = self.request
        view, view_name, view_method = _view(request)
        user, user_id = context.user_of(request)
        event = ApiRequest(
            event_id=record.NO_ID,
            requested_at=self.requested_at,
            response_ms=round(milliseconds, 3),
            status_code=response.status_code,
            method=request.method or "",
            path=request.path,
            host=record.host(request),
            user_agent=request.META.get("HTTP_USER_AGENT", ""),
            remote_addr=context.client_address(request),
            request_id=context.request_id(request),
            user=user,
            user_id=user_id,
            view=view_name,
            view_method=view_method,
            query_params=bodies.query(request),
            data=bodies.of_request(request),
            response=bodies.of_response(response),
            errors=request.__dict__.get(_TRACEBACK),
        )
        record.publish(request, event, record.secret_names(view))


def _view(request: HttpRequest) -> tuple[Any, str | None, str | None]:
    """The view's class (a function's wrapper), its dotted name, and REST framework's action or the method."""
    match = request.resolver_match
    if match is None:
        return None, None, None
    function: Any = match.func
    view = getattr(function, "cls", None) or getattr(function, "view_class", None) or function
    method = (request.method or "").lower()
    actions = getattr(function, "actions", None)
    if actions is not None:
        method = "metadata" if method == "options" else actions.get(method) or ""
    name = getattr(view, "__qualname__" if isinstance(view, type) else "__name__", type(view).__name__)
    if isinstance(view, type):
        name = view.__name__
    return view, f"{view.__module__}.{name}", method or None


def _keep_traceback(request: HttpRequest | None = None, **_: Any) -> None:
    """Remember an exception that no view handled; Django sends this signal before it makes its answer."""
    if request is not None:
        setattr(request, _TRACEBACK, traceback.format_exc())


got_request_exception.connect(_keep_traceback, dispatch_uid="producers.django.middleware")
