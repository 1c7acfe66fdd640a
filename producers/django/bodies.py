"""What a request sent and got back, as something that can be kept: parsed, cut, or described."""

from __future__ import annotations

import json
import zlib
from functools import lru_cache
from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.utils.datastructures import MultiValueDict

from producers.django.conf import conf
from producers.encoding import plain

_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_NOT_JSON = object()
_TEXT_ENDINGS = ("json", "xml", "yaml", "javascript", "graphql", "csv", "x-ndjson")


@lru_cache(maxsize=256)
def media_type(content_type: str) -> str:
    """`application/json` of `Application/JSON; charset=utf-8`."""
    return content_type.partition(";")[0].strip().lower()


@lru_cache(maxsize=256)
def is_text(kind: str) -> bool:
    """Whether a body of this media type is text; none at all counts as text."""
    return not kind or kind == _FORM or kind.startswith("text/") or kind.endswith(_TEXT_ENDINGS)


def fields(query: MultiValueDict) -> dict[str, Any]:
    """A QueryDict as a dict; a name that is given several times has a list."""
    return {name: values[0] if len(values) == 1 else values for name, values in query.lists()}


def query(request: HttpRequest) -> dict[str, Any]:
    """The parameters of the request's URL, as a QueryDict unless there are none."""
    return request.GET or {} if request.META.get("QUERY_STRING") or "GET" in request.__dict__ else {}


def keep(request: HttpRequest) -> None:
    """Read a small text body now, so that it is there whatever the view does; the view can still read it."""
    length = content_length(request)
    if not length:
        return
    limit = conf().MAX_BODY_BYTES
    if settings.DATA_UPLOAD_MAX_MEMORY_SIZE is not None:
        limit = min(limit, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    if length <= limit and is_text(media_type(request.META.get("CONTENT_TYPE", ""))):
        request.body  # noqa: B018  Django keeps what it reads here


def content_length(request: HttpRequest) -> int:
    """Bytes of the body as the client announced them, 0 if it did not."""
    try:
        return max(int(request.META.get("CONTENT_LENGTH") or 0), 0)
    except ValueError:
        return 0


class Body(msgspec.Struct, gc=False, kw_only=True):
    """A body as it was sent or answered, in bytes that nobody changes any more; `read` makes of it what is kept."""

    content: bytes | None = None
    kind: str = ""
    encoding: str = ""
    charset: str | None = None
    #: How long the whole of it is.
    length: int = 0
    #: Whether it is a form to be taken apart: only requests send any.
    form: bool = False
    #: What is kept instead, if there is no content, and whether it is not all.
    value: Any = ""
    was_cut: bool = False

    def read(self, *, parse: bool = True) -> tuple[Any, bool]:
        """What is kept of it, and whether it was cut.

        JSON stays JSON, as `msgspec.Raw` (text if `parse` is off), a form is a dict, other text (malformed JSON as
        well) is text, binary bodies are described as `<type, size>`.
        """
        body, kind, limit = self.content, self.kind, conf().MAX_BODY_BYTES
        if body is None:
            return self.value, self.was_cut
        length = self.length
        if self.encoding == "gzip":
            body = zlib.decompressobj(31).decompress(body, limit + 1)
            length = len(body)
        elif self.encoding:
            kind = f"{kind}, {self.encoding}"
        if not is_text(kind) or self.encoding not in ("", "gzip"):
            return f"<{kind}, {length} bytes>", False
        whole = length <= limit
        if parse and whole:
            if kind == _FORM and self.form:
                return fields(QueryDict(body, encoding=self.charset)), False
            if kind.endswith("json") or not kind:
                found = _json(body)
                if found is not _NOT_JSON:
                    return found, False
        try:
            text = body[:limit].decode(self.charset or "utf-8", errors="replace")
        except LookupError:
            text = body[:limit].decode(errors="replace")
        return text, not whole


_EMPTY = Body()


def of_request(request: HttpRequest) -> Body:
    """What there is of the body. Reads nothing that was not read before."""
    kind = media_type(request.META.get("CONTENT_TYPE", ""))
    body: bytes | None = request.__dict__.get("_body")
    length = content_length(request) if body is None else len(body)
    if not length and (body is None or kind != _FORM):
        return _EMPTY
    if kind == _MULTIPART:
        sent = [getattr(request, name, None) for name in ("_post", "_files")]
        if any(sent):
            value, was_cut = cut({name: value for part in sent if part for name, value in fields(part).items()})
            return Body(value=value, was_cut=was_cut)
    if body is None or not is_text(kind):
        return Body(value=f"<{kind or 'body'}, {length} bytes>", was_cut=is_text(kind))
    return Body(content=_head(body), length=length, kind=kind, charset=request.encoding, form=kind == _FORM)


def of_response(response: HttpResponseBase) -> Body:
    """What was answered; nothing of a streaming answer, which is left alone."""
    if response.streaming:
        return Body(value=None)
    content: bytes = response.content
    if not content:
        return _EMPTY
    content_type = response.headers.get("Content-Type", "")
    kind = media_type(content_type)
    usual = kind.endswith("json") and "charset" not in content_type
    charset = settings.DEFAULT_CHARSET if usual else response.charset
    encoding = response.headers.get("Content-Encoding", "")
    return Body(content=_head(content), length=len(content), kind=kind, charset=charset, encoding=encoding)


def _head(body: bytes) -> bytes:
    """As much of a body as is ever looked at; a little more than the limit, since what is compressed may have grown."""
    limit = conf().MAX_BODY_BYTES
    return body if len(body) <= limit else body[: limit + limit // 100 + 1024]


def of_text(text: str) -> Any:
    """Text as it was logged: as `msgspec.Raw` if it is a JSON object or list."""
    if text[:1] in ("{", "["):
        found = _json(text.encode(errors="replace"))
        if found is not _NOT_JSON:
            return found
    return text


def _json(body: bytes) -> Any:
    """A document in compact JSON, or as a value what only Python understands; _NOT_JSON if it is none."""
    try:
        value = _decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    else:
        # What is written with blanks is written again, since the worker stores what has none as it is.
        return msgspec.Raw(_encode(value) if b'": ' in body or b"\n" in body else body)
    try:  # NaN, lone surrogates, a byte order mark: what REST framework's parser takes
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NOT_JSON


_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def cut(value: Any) -> tuple[Any, bool]:
    """Any value as JSON types, cut at `MAX_BODY_BYTES` of its JSON, and whether it was cut."""
    limit = conf().MAX_BODY_BYTES
    value = plain(value)
    if isinstance(value, str):
        body = value.encode()
    elif isinstance(value, dict | list):
        body = msgspec.json.encode(value)
    else:
        return value, False
    if len(body) <= limit:
        return value, False
    return body[:limit].decode(errors="ignore"), True
