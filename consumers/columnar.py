"""API requests to Arrow columns, a whole batch at once.

What it does to a value is what `normalise.api_request` does to it, only once per distinct value or in one vectorised
pass. An event with anything unusual in it is left to `normalise`: what is here may understand less, never otherwise.

A payload that is written as msgspec would write it is stored as it came, without being taken apart. (Only an object
that names a field twice, which no JSON library writes, tells the difference: both stay, where `normalise` keeps the
last.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, cast

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from consumers import normalise, paths
from consumers.tables import API_REQUESTS
from schemas import masking

_Cleaner = Callable[[normalise.Fields, str], str | bytes]
Mask = npt.NDArray[np.bool_]


class _Request(msgspec.Struct, gc=False):
    """`schemas.events.ApiRequest` with texts where the whole column is parsed later, and payloads as they came."""

    event_id: str
    requested_at: str
    method: str
    path: str
    status_code: Annotated[int, msgspec.Meta(ge=0, le=999)]
    response_ms: Annotated[float, msgspec.Meta(ge=0)]
    user: str | None = None
    user_id: int | str | None = None
    remote_addr: str | None = None
    host: str | None = None
    view: str | None = None
    view_method: str | None = None
    query_params: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    response: msgspec.Raw = msgspec.Raw()
    errors: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    truncated: list[str] | None = None


_decode = msgspec.json.Decoder(_Request).decode

# Texts that need no cleaning, and forms that Arrow reads as Python does.
_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_TIME = (
    r"^(?:19[89]|20[0-9])[0-9]-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])$"
)
_PATH = "^/[!->@-~]*$"  # without a query string
_NAME = "^[!-~]*$"
#: So that a route is shorter than a name may be, whatever its identifiers are replaced with.
_MAX_PATH = 400
_NUMBER = re.compile("/0(?=/|$)")

# JSON as msgspec writes it: no blanks, no escapes, no number that could be written otherwise.
_CANONICAL = (
    r'^(?:[{}\[\],:]|"[^"\\\x00-\x1f]*"|(?:true|false|null|0|-?[1-9][0-9]{0,14}'
    r"|-?(?:0|[1-9][0-9]{0,8})\.(?:0|[0-9]{0,3}[1-9]))(?:[,\]}]|$))*$"
)
#: A payload of fewer bytes is not nested deeper than `masking.MAX_DEPTH`.
_SHALLOW = 2 * masking.MAX_DEPTH
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{"))


def api_requests(values: Sequence[bytes]) -> tuple[pa.Table | None, Mask]:
    """The columns of `tables.API_REQUESTS`, those of the message's place apart, of as many values as possible.

    Returns:
        Columns (None without rows) of the values for which the mask, one item per value, is true, in their order.
    """
    events, texts, known = _decoded(values)
    if not events:
        return None, known
    flagged = _flagged(texts)
    fields = _fields(events)
    ids, times, path, request_id, errors = (
        _texts(fields[name]) for name in ("event_id", "requested_at", "path", "request_id", "errors")
    )
    usual = (
        _matches(ids, _UUID)
        & _matches(times, _TIME)
        & _matches(path, _PATH)
        & _shorter(path, _MAX_PATH)
        & _matches(request_id, _NAME)
        & _shorter(request_id, normalise.MAX_NAME)
        & ~_flags(pc.equal(request_id, "None"))
        & _shorter(errors, normalise.MAX_TEXT)
        & ~_flags(pc.equal(errors, "None"))
        & _real_days(times)
        & ~np.fromiter(map(bool, fields["truncated"]), bool, len(events))
    )
    # Secrets in payloads are looked for below, in names where they are cleaned.
    suspects = np.flatnonzero(flagged)
    if len(suspects):
        beside = [column.take(suspects) for column in (path, request_id, errors)]
        usual[suspects[_flagged(pc.binary_join_element_wise(*beside, "\n"))]] = False
    if not usual.all():
        kept = pa.array(usual)
        ids, times, path, request_id, errors = (
            column.filter(kept) for column in (ids, times, path, request_id, errors)
        )
        events = [event for event, keep in zip(events, usual, strict=True) if keep]
        flagged = flagged[usual]
        known[np.flatnonzero(known)[~usual]] = False
        if not events:
            return None, known
        fields = _fields(events)

    columns: dict[str, Any] = {
        "event_id": _uuids(ids),
        "requested_at": _milliseconds(times),
        "path": path,
        "status_code": pa.array(fields["status_code"], pa.uint16()),
        "response_ms": pa.array(fields["response_ms"], pa.float64()),
        "errors": errors,
        "request_id": request_id,
    }
    clean = np.ones(len(events), dtype=bool)
    for name, cleaner in _CLEANERS.items():
        columns[name], good = _cleaned(fields[name], name, cleaner)
        clean &= good
    route, good = _routes(path, columns["view_method"].dictionary_decode(), columns["method"].dictionary_decode())
    columns |= route
    clean &= good
    masked: dict[int, set[str]] = {}
    for name in ("query_params", "data", "response"):
        columns[name], good = _payloads(fields[name], flagged, masked, objects=name == "query_params")
        clean &= good
    columns["masked"] = _lists(masked, len(events))
    columns["truncated"] = _lists({}, len(events))
    names = [name for name in API_REQUESTS.schema.names if name in columns]
    table = pa.Table.from_arrays([columns[name] for name in names], schema=API_REQUESTS.own)
    if not clean.all():
        table = table.filter(pa.array(clean))
        known[np.flatnonzero(known)[~clean]] = False
    return table if table.num_rows else None, known


def _decoded(values: Sequence[bytes]) -> tuple[list[_Request], pa.Array, Mask]:
    """Events, the UTF-8 of their values, and which of the values they are."""
    try:
        events = list(map(_decode, values))
        texts = pa.array(values, pa.binary()).cast(pa.string())  # a payload need not be UTF-8 to be cut out
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, pa.ArrowInvalid):
        pass
    else:
        return events, texts, np.ones(len(values), dtype=bool)
    events, kept, known = [], [], np.zeros(len(values), dtype=bool)
    for index, value in enumerate(values):
        try:
            value.decode()
            event = _decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        events.append(event)
        kept.append(value)
        known[index] = True
    return events, pa.array(kept, pa.string()), known


def _fields(events: list[_Request]) -> dict[str, tuple[Any, ...]]:
    """The values of each field, of at least one event."""
    return dict(zip(_Request.__struct_fields__, zip(*map(msgspec.structs.astuple, events), strict=True), strict=True))


def _texts(values: Sequence[Any]) -> pa.Array:
    """A column of text; None is the empty one, numbers are written out."""
    try:
        column = pa.array(values, pa.string())
    except pa.ArrowTypeError:
        column = pa.array([None if value is None else str(value) for value in values], pa.string())
    return column.fill_null("") if column.null_count else column


def _flags(column: pa.Array) -> Mask:
    return cast(Mask, column.to_numpy(zero_copy_only=False))


def _matches(column: pa.Array, pattern: str) -> Mask:
    return _flags(pc.match_substring_regex(column, pattern))


def _flagged(column: pa.Array) -> Mask:
    """Which texts might hold a secret: `masking.might_hold_secret` of each."""
    return _flags(pc.match_substring_regex(column, masking.HINTS, ignore_case=True))


def _shorter(column: pa.Array, limit: int) -> Mask:
    """Of fewer than `limit` bytes, and so of characters."""
    return _flags(pc.less(pc.binary_length(column), limit))


def _real_days(times: pa.Array) -> Mask:
    """Not the 30th of February, as far as the pattern leaves that open."""
    late = _matches(times, r"^[0-9]{4}-(?:02-(?:29|3)|(?:0[469]|11)-31)")
    return ~late


def _milliseconds(times: pa.Array) -> pa.Array:
    return times.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("ms", "UTC"), safe=False)


def _uuids(ids: pa.Array) -> pa.Array:
    packed = bytes.fromhex("".join(ids.to_pylist()).replace("-", ""))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(ids), [None, pa.py_buffer(packed)])


def _cleaned(values: Sequence[Any], name: str, cleaner: _Cleaner) -> tuple[pa.Array, Mask]:
    """A column in which values come again and again, each cleaned once; what is masked, cut or refused is not good."""
    encoded = _texts(values).dictionary_encode()
    kind = API_REQUESTS.schema.field(name).type
    nothing = bytes(kind.byte_width) if pa.types.is_fixed_size_binary(kind) else ""
    distinct: list[str | bytes] = []
    refused: list[int] = []
    fields = normalise.Fields(None)
    for at, value in enumerate(encoded.dictionary.to_pylist()):
        try:
            distinct.append(cleaner(fields, value))
        except normalise.Invalid:
            distinct.append(nothing)
            refused.append(at)
        if fields.masked or fields.truncated:
            refused.append(at)
            fields = normalise.Fields(None)
    good = np.ones(len(distinct), dtype=bool)
    good[refused] = False
    return _column(encoded.indices, distinct, kind), good[encoded.indices.to_numpy()]


def _column(indices: pa.Array, distinct: Sequence[str | bytes], kind: pa.DataType) -> pa.Array:
    """Of each row the value at its index. No value stands twice in a dictionary."""
    if not pa.types.is_dictionary(kind):
        return pa.array(distinct, kind).take(indices)
    words = {value: at for at, value in enumerate(dict.fromkeys(distinct))}
    if len(words) < len(distinct):
        indices = np.array([words[value] for value in distinct], np.int32)[indices.to_numpy()]
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(words), kind.value_type))


_CLEANERS: dict[str, _Cleaner] = {
    "user": normalise.user,
    "user_id": lambda fields, value: fields.name("user_id", value),
    "remote_addr": lambda _, value: normalise.address(value),
    "method": lambda _, value: normalise.method(value),
    "host": lambda fields, value: fields.name("host", value),
    "view": lambda fields, value: fields.name("view", value),
    "view_method": lambda fields, value: fields.name("view_method", value),
    "user_agent": normalise.user_agent,
}


def _routes(path: pa.Array, view_method: pa.Array, method: pa.Array) -> tuple[dict[str, pa.Array], Mask]:
    """What the paths say. Each form of path, in which `0` stands for any number, is taken apart once."""
    form = pc.replace_substring_regex(path, "/[0-9]+(/|$)", r"/0\1")
    key = pc.binary_join_element_wise(method, form, view_method, " ").dictionary_encode()
    rows: list[tuple[str, ...]] = []
    numbered, several, good = (np.zeros(len(key.dictionary), dtype=bool) for _ in range(3))
    for at, (verb, text, view) in enumerate(one.split(" ", 2) for one in key.dictionary.to_pylist()):
        row, good[at] = _route(text, view, verb)
        rows.append(row)
        # The number may be the object's; where there are more of them, or escapes, each path says which.
        several[at] = len(_NUMBER.findall(text)) > 1 or "%" in text
        numbered[at] = row[_OBJECT_ID] == "0"
    columns = {
        name: _column(key.indices, values, API_REQUESTS.schema.field(name).type)
        for name, values in zip(_ROUTE_COLUMNS, zip(*rows, strict=True), strict=True)
    }
    indices = key.indices.to_numpy()
    number = pc.struct_field(pc.extract_regex(path, "/(?P<number>[0-9]+)(?:/|$)"), "number")
    object_id = pc.if_else(pa.array(numbered[indices]), number, columns["object_id"])
    unclear = several[indices]
    if unclear.any():
        mask = pa.array(unclear)
        found = zip(path.filter(mask).to_pylist(), view_method.filter(mask).to_pylist(), strict=True)
        own = [_route(text, view, "")[0][_OBJECT_ID] for text, view in found]
        object_id = pc.replace_with_mask(object_id, mask, pa.array(own, pa.string()))
    columns["object_id"] = object_id
    return columns, good[indices]


_ROUTE_COLUMNS = ("route", "api_version", "app", "object_type", "object_id", "action")
_OBJECT_ID = _ROUTE_COLUMNS.index("object_id")


def _route(path: str, view_method: str, method: str) -> tuple[tuple[str, ...], bool]:
    """The values of _ROUTE_COLUMNS, and whether nothing was masked or cut in them."""
    route = paths.parse(path, view_method in paths.DETAIL_ACTIONS)
    fields = normalise.Fields(None)
    name, object_id = fields.name("route", route.route), fields.name("object_id", route.object_id)
    values = (name, *route[1:4], object_id, paths.action(method, view_method, route))
    return values, not (fields.masked or fields.truncated)


def _payloads(
    raws: Sequence[msgspec.Raw], flagged: Mask, masked: dict[int, set[str]], objects: bool
) -> tuple[pa.Array, Mask]:
    """The column of a payload, and in which rows it is understood; names that were masked are added to `masked`."""
    lengths = np.fromiter(map(len, raws), np.int64, len(raws))
    offsets = np.zeros(len(raws) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    column = pa.StringArray.from_buffers(len(raws), pa.py_buffer(offsets), pa.py_buffer(b"".join(raws)))
    good = ~_flags(pc.starts_with(column, '"'))  # a string may be a printed structure
    canonical = _matches(column, _CANONICAL)
    for at in np.flatnonzero(lengths >= _SHALLOW).tolist():
        canonical[at] &= len(bytes(raws[at]).translate(None, _NO_BRACKETS)) < masking.MAX_DEPTH
    nothing = (lengths == 0) | _flags(pc.equal(column, "null"))
    if objects:
        nothing |= _flags(pc.equal(column, "{}"))
        good &= nothing | _flags(pc.starts_with(column, "{"))
    canonical &= ~nothing
    rewrite = ~canonical & (lengths > 0)
    suspects = np.flatnonzero(flagged & (lengths > 0))
    rewrite[suspects[_flagged(column.take(suspects))]] = True
    rewrite &= good
    if not rewrite.any():
        return column, good
    texts = []
    for at in np.flatnonzero(rewrite).tolist():
        if canonical[at] and (quick := masking.mask_json(bytes(raws[at]).decode())):
            texts.append(quick[0])
            if quick[1]:
                masked.setdefault(at, set()).update(quick[1])
            continue
        fields = normalise.Fields(None)
        try:
            value = normalise.decode_json(raws[at])
            texts.append(fields.payload((value or None) if objects else value))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            good[at] = False
            texts.append("")
        if fields.masked:
            masked.setdefault(at, set()).update(fields.masked)
    return pc.replace_with_mask(column, pa.array(rewrite), pa.array(texts, pa.string())), good


def _lists(items: dict[int, set[str]], count: int) -> pa.Array:
    """A column of `count` sorted lists, empty but for the given rows."""
    lengths = np.zeros(count + 1, np.int32)
    names: list[str] = []
    for at in sorted(items):
        lengths[at + 1] = len(items[at])
        names += sorted(items[at])
    return pa.ListArray.from_arrays(pa.array(np.cumsum(lengths, dtype=np.int32)), pa.array(names, pa.string()))
