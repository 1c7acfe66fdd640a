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
    """The parameters of the request's URL; see `fields`."""
    return fields(request.GET) if request.META.get("QUERY_STRING") or "GET" in request.__dict__ else {}


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


def of_request(request: HttpRequest, *, parse: bool = True) -> tuple[Any, bool]:
    """The body, and whether it was cut. Reads nothing that was not read before.

    JSON stays JSON, as `msgspec.Raw` (text if `parse` is off), a form is a dict, other text (malformed JSON as well) is
    text, files and binary bodies are described as `<name, size>`.
    """
    kind = media_type(request.META.get("CONTENT_TYPE", ""))
    body: bytes | None = request.__dict__.get("_body")
    length = content_length(request) if body is None else len(body)
    if not length and (body is None or kind != _FORM):
        return "", False
    if kind == _MULTIPART or not is_text(kind):
        sent = [getattr(request, name, None) for name in ("_post", "_files")] if kind == _MULTIPART else []
        if any(sent):
            return cut({name: value for part in sent if part for name, value in fields(part).items()})
    if body is None or not is_text(kind):
        return f"<{kind or 'body'}, {length} bytes>", is_text(kind)
    if kind == _FORM and parse and len(body) <= conf().MAX_BODY_BYTES:
        return fields(QueryDict(body, encoding=request.encoding)), False
    return _of_bytes(body, kind, request, parse)


def of_response(response: HttpResponseBase, *, parse: bool = True) -> tuple[Any, bool]:
    """The answer's body, and whether it was cut; None for a streaming answer, which is left alone."""
    if response.streaming:
        return None, False
    content: bytes = response.content
    if not content:
        return "", False
    kind = media_type(response.headers.get("Content-Type", ""))
    encoding = response.headers.get("Content-Encoding", "")
    if encoding == "gzip":
        limit = conf().MAX_BODY_BYTES
        content = zlib.decompressobj(31).decompress(content, limit + 1)
    elif encoding:
        kind = f"{kind}, {encoding}"
    if not is_text(kind) or encoding not in ("", "gzip"):
        return f"<{kind}, {len(content)} bytes>", False
    return _of_bytes(content, kind, response, parse)


def _of_bytes(body: bytes, kind: str, sent: HttpRequest | HttpResponseBase, parse: bool) -> tuple[Any, bool]:
    limit = conf().MAX_BODY_BYTES
    if parse and len(body) <= limit and (kind.endswith("json") or not kind):
        found = _json(body)
        if found is not _NOT_JSON:
            return found, False
    charset = sent.encoding if isinstance(sent, HttpRequest) else sent.charset
    try:
        text = body[:limit].decode(charset or "utf-8", errors="replace")
    except LookupError:
        text = body[:limit].decode(errors="replace")
    return text, len(body) > limit


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
