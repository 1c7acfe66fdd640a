"""Drop-in for `rest_framework_tracking.mixins`: the same attributes and hooks, events instead of SQL rows."""

from __future__ import annotations

import time
import traceback
from collections.abc import Collection
from functools import partial
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponseServerError
from django.utils.timezone import now
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from producers import kafka
from producers.django import bodies, context, record
from producers.django.cleaning import clean
from producers.django.conf import conf, decodes_bodies
from producers.encoding import copied, encode
from schemas.events import ApiRequest
from schemas.masking import SUBSTITUTE, mask_text

#: drf-tracking masks these names as well.
_ALSO_SECRET = ("api", "signature")


class LoggingMixin:
    """Collects `self.log` for one request and publishes it to Kafka.

    `self.log` has the keys of drf-tracking's: requested_at, data, remote_addr, view, view_method, path, host,
    user_agent, method, query_params, user, username_persistent, response_ms, response, status_code, and errors after
    an exception. Everything in it is masked.
    """

    CLEANED_SUBSTITUTE: str = SUBSTITUTE
    logging_methods: str | Collection[str] = "__all__"
    sensitive_fields: Collection[str] = frozenset()

    request: Request
    log: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not isinstance(self.CLEANED_SUBSTITUTE, str):
            raise AssertionError("CLEANED_SUBSTITUTE must be a string.")
        super().__init__(*args, **kwargs)

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        self.log = {"requested_at": now(), "data": ""}
        self._started = time.perf_counter()
        self._parsed = False
        self._truncated: set[str] = set()
        return super().initialize_request(request, *args, **kwargs)  # type: ignore[misc]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if getattr(self, "decode_request_body", decodes_bodies()):
            self._quietly(bodies.keep, request._request)
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        # The first access parses the body, and may raise what REST framework must see.
        self._quietly(self._keep_data, request.data)

    def handle_exception(self, exc: Exception) -> Any:
        try:
            response = super().handle_exception(exc)  # type: ignore[misc]
        except Exception:
            self._quietly(self._crashed)
            raise
        self.log["errors"] = self._clean_text(traceback.format_exc())
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]
        should_log = getattr(self, "_should_log", self.should_log)
        if not should_log(request, response):
            setattr(request._request, record.DECIDED, True)
        elif hasattr(response, "add_post_render_callback"):
            # Recorded once Django has rendered it: rendering here as well would double the work of every view.
            response.add_post_render_callback(partial(self._quietly, self._answered, request))
        else:
            self._quietly(self._answered, request, response)
        return response

    def should_log(self, request: Request, response: Any) -> bool:  # noqa: ARG002
        """Whether to record the request; by default, if its method is in `logging_methods`."""
        return self.logging_methods == "__all__" or request.method in self.logging_methods

    def handle_log(self) -> None:
        """Hook: call `super().handle_log()` to publish, after changing `self.log` at will."""
        self._publish(self.request._request, _payload(self.log["query_params"]), _payload(self.log["response"]))

    def _answered(self, request: Request, response: Any) -> None:
        self._log(request, response.status_code, bodies.of_response(response))

    def _crashed(self) -> None:
        """An exception that becomes a 500 outside of the view, so that `finalize_response` never comes."""
        response = HttpResponseServerError()
        should_log = self._should_log if hasattr(self, "_should_log") else self.should_log
        if should_log(self.request, response):
            self.log["errors"] = self._clean_text(traceback.format_exc())
            self._log(self.request, response.status_code, bodies.Body(value=None))

    def _log(self, request: Request, status_code: int, response: bodies.Body) -> None:
        if not self._parsed:
            self._keep_body(request)
        self._fill(request, status_code)
        # From here on, a middleware around leaves the request alone, whatever `handle_log` makes of it.
        setattr(request._request, record.DECIDED, True)
        self._finish(request, response)

    def _finish(self, request: Request, response: bodies.Body) -> None:
        if type(self).handle_log is LoggingMixin.handle_log and type(self)._clean_data is LoggingMixin._clean_data:
            # Nobody looks at what is missing in `self.log`: it is read and masked behind the request.
            self._publish(request._request, bodies.query(request._request), response)
            return
        content, was_cut = response.read(parse=False)
        if was_cut:
            self._truncated.add("response")
        self.log["response"] = self._clean_data(content)
        self.log["query_params"] = self._clean_data(bodies.fields(request.query_params))
        self.handle_log()

    def _fill(self, request: Request, status_code: int) -> None:
        user = self._get_user(request)
        sent = request._request  # REST framework's own passes every attribute on, slowly
        self.log.update(
            remote_addr=self._get_ip_address(request),
            view=self._get_view_name(request),
            view_method=self._get_view_method(request),
            path=self._get_path(request),
            host=record.host(sent),
            user_agent=sent.META.get("HTTP_USER_AGENT", ""),
            method=sent.method,
            user=user,
            username_persistent=user.get_username() if user else context.ANONYMOUS,
            response_ms=self._get_response_ms(),
            status_code=status_code,
        )

    def _keep_data(self, data: Any) -> None:
        if type(data) is dict and not data:
            self.log["data"] = {}
            self._parsed = True
            return
        if hasattr(data, "lists"):
            data = bodies.fields(data)
        if bodies.content_length(self.request._request) > conf().MAX_BODY_BYTES:
            data, was_cut = bodies.cut(data)
            if was_cut:
                self._truncated.add("data")
        self.log["data"] = self._clean_data(data)
        self._parsed = True

    def _keep_body(self, request: Request) -> None:
        """The body as it came, where it was not parsed: malformed, or refused before."""
        kept, was_cut = bodies.of_request(request._request).read(parse=False)
        if was_cut:
            self._truncated.add("data")
        self.log["data"] = self._clean_data(kept)

    def _get_path(self, request: Request) -> str:
        return str(request._request.path)

    def _get_ip_address(self, request: Request) -> str:
        return context.client_address(request._request)

    def _get_view_name(self, request: Request) -> str | None:
        """Dotted name of the view's class; None if it has no handler for the method."""
        if not hasattr(self, (request._request.method or "").lower()):
            return None
        return f"{type(self).__module__}.{type(self).__name__}"

    def _get_view_method(self, request: Request) -> str | None:
        if hasattr(self, "action"):
            return self.action or None
        return (request._request.method or "").lower()

    def _get_user(self, request: Request) -> Any:
        """The user object, None for an anonymous one and where authentication failed."""
        try:
            user = request.user
        except APIException:  # authentication that was not reached before, and fails
            return None
        return None if user is None or user.is_anonymous else user

    def _get_response_ms(self) -> float:
        return round((time.perf_counter() - self._started) * 1000, 3)

    def _clean_data(self, data: Any) -> Any:
        """`data` with secrets replaced by `CLEANED_SUBSTITUTE`, at any depth and also inside text."""
        if isinstance(data, bytes):
            data = data.decode(errors="replace")
        if not isinstance(data, str):
            if not data and type(data) in (dict, list):
                return data.copy()
            copy, body = copied(data)
            masked = self._masked(msgspec.Raw(body))
            return copy if type(masked) is msgspec.Raw else masked
        value = bodies.of_text(data)
        if isinstance(value, str):
            return self._clean_text(data)
        masked = self._masked(value)
        return data if masked is value or masked == value else encode(masked).decode()

    def _clean_text(self, text: str) -> str:
        return mask_text(text, extra=self._secret_names(), substitute=self.CLEANED_SUBSTITUTE)[0]

    def _masked(self, value: Any) -> Any:
        return clean(value, self._secret_names(), self.CLEANED_SUBSTITUTE)

    def _secret_names(self) -> tuple[str, ...]:
        return (*_ALSO_SECRET, *record.secret_names(self))

    @staticmethod
    def _quietly(step: Any, *args: Any) -> None:
        """Logging never fails a request."""
        try:
            step(*args)
        except Exception as error:
            kafka.failed("capture_errors", f"a request could not be recorded: {error!r}")

    def _publish(self, request: HttpRequest, query_params: Any, response: Any) -> None:
        log = self.log
        event = ApiRequest(
            event_id=record.NO_ID,
            requested_at=log["requested_at"],
            response_ms=log["response_ms"],
            status_code=log["status_code"],
            method=log["method"] or request.method or "",
            path=log["path"] or request.path,
            host=log["host"] or record.host(request),
            user_agent=log["user_agent"] or request.META.get("HTTP_USER_AGENT", ""),
            remote_addr=log["remote_addr"] or context.client_address(request),
            request_id=context.request_id(request),
            user=log["username_persistent"],
            user_id=context.name_and_id(log["user"])[1],
            view=log["view"],
            view_method=log["view_method"],
            query_params=query_params,
            data=_payload(log["data"]),
            response=response,
            errors=log.get("errors"),
            truncated=list(self._truncated),
        )
        record.publish(request, event, self._secret_names(), self.CLEANED_SUBSTITUTE, parse=False)


def _payload(logged: Any) -> Any:
    """A logged value for the event, safe from whoever changes it afterwards."""
    return logged if isinstance(logged, str) or not logged else msgspec.Raw(encode(logged))


class LoggingErrorsMixin(LoggingMixin):
    """Records only answers with status 400 and above."""

    def should_log(self, request: Request, response: Any) -> bool:  # noqa: ARG002
        return bool(response.status_code >= status.HTTP_400_BAD_REQUEST)
