"""JSON as a tree that is bounded in entries, depth and text: only what is shown is ever decoded."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from dashboard.values import Text
from schemas import masking

Kind = Literal["object", "array", "string", "number", "boolean", "null"]
#: The way from the root to a value: names of members and places in lists.
Path = tuple[str | int, ...]
Entry = tuple[str | int, msgspec.Raw]

#: A payload with more commas stays a text: decoding one level of it might take hundreds of megabytes.
MOST_COMMAS = 500_000
#: Values that `find` looks at, and those it returns, at most.
MOST_LOOKED_AT, MOST_FOUND = 200_000, 100
_PLAIN = re.compile(r"[^\W\d]\w*")
_KINDS: dict[int, Kind] = {
    ord("{"): "object",
    ord("["): "array",
    ord('"'): "string",
    ord("t"): "boolean",
    ord("f"): "boolean",
    ord("n"): "null",
}


class Limits(NamedTuple):
    """How much of a payload is shown: values in all, entries of one object or list, levels, characters of a text."""

    nodes: int
    entries: int
    depth: int
    text: int


IN_LIST = Limits(120, 40, 6, 300)
ON_PAGE = Limits(400, 100, 10, 2_000)


@dataclass(slots=True)
class Node:
    """A value in its place.

    Attributes:
        text: of a value that has no entries; else None.
        size: how many entries it has; `children` are some of them.
        start: place of the first child.
        masked: whether it is, or holds, what stands for a secret.
    """

    path: Path
    kind: Kind
    text: Text | None = None
    size: int = 0
    start: int = 0
    masked: bool = False
    children: list[Node] = field(default_factory=list)

    @property
    def key(self) -> str | int | None:
        """Its name or place in what holds it; None for the root."""
        return self.path[-1] if self.path else None

    @property
    def name(self) -> str | None:
        """The name of the member that it is or, as an element of a list, belongs to."""
        return next((step for step in reversed(self.path) if isinstance(step, str)), None)

    @property
    def more(self) -> int:
        """Entries behind the last child."""
        return max(0, self.size - self.start - len(self.children))

    @property
    def pointer(self) -> str:
        """Its path as a JSON pointer (RFC 6901)."""
        return pointer(self.path)

    @property
    def way(self) -> str:
        """Its path as people write it, such as `customer.phones[0]`."""
        return way(self.path)


class Found(NamedTuple):
    """What a search found; `whole` says whether it looked at every value, and returned every match."""

    nodes: list[Node]
    whole: bool


def read(text: str, limits: Limits, *, at: str = "", start: int = 0, masked: Collection[str] = ()) -> Node | None:
    """The value at a JSON pointer and what is in it, as far as `limits` go.

    Args:
        text: the payload as stored.
        start: how many of the value's entries to leave out.
        masked: names of fields whose values were masked.

    Returns:
        None if the text is no JSON, too large for a tree, or has no value there.
    """
    try:
        path, raw = _resolve(_root(text), at)
        root = _node(path, raw, limits.text, masked)
        waiting = deque([(root, raw, max(0, start))])
        left = limits.nodes
        while waiting:
            node, raw, first = waiting.popleft()
            if node.text is not None:
                continue
            entries = _entries(raw)
            node.size, node.start = len(entries), first
            if len(node.path) - len(path) >= limits.depth:
                continue
            for key, value in entries[first : first + min(limits.entries, left)]:
                child = _node((*node.path, key), value, limits.text, masked)
                node.children.append(child)
                waiting.append((child, value, 0))
                left -= 1
        return root
    except (ValueError, RecursionError):
        return None


def find(text: str, needle: str, limit: int, *, masked: Collection[str] = ()) -> Found:
    """The values without entries whose path or text holds `needle`, whatever its case, in the payload's order.

    Args:
        limit: characters of a text.
    """
    wanted = needle.casefold()
    found: list[Node] = []
    looked = 0
    try:
        waiting: list[Iterator[tuple[Path, msgspec.Raw]]] = [iter([((), _root(text))])]
        while waiting:
            path, raw = next(waiting[-1], (None, None))
            if path is None or raw is None:
                waiting.pop()
                continue
            looked += 1
            if looked > MOST_LOOKED_AT or len(found) == MOST_FOUND:
                return Found(found, False)
            if _kind(raw) in ("object", "array"):
                waiting.append(_below(path, raw))
            elif wanted in _leaf(raw).casefold() or wanted in way(path).casefold():
                found.append(_node(path, raw, limit, masked))
    except (ValueError, RecursionError):
        return Found(found, False)
    return Found(found, True)


def part(text: str, at: str) -> str | None:
    """The text of the value at a JSON pointer: a string without its quotes, anything else as JSON.

    None if there is none.
    """
    try:
        _, raw = _resolve(_root(text), at)
    except (ValueError, RecursionError):
        return None
    return _leaf(raw) if _kind(raw) not in ("object", "array") else bytes(raw).decode()


def pointer(path: Path) -> str:
    """A path as a JSON pointer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def way(path: Path) -> str:
    """A path as `customer.phones[0]["odd name"]`."""
    written = ""
    for step in path:
        if isinstance(step, int):
            written += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            written += f".{step}" if written else step
        else:
            written += f"[{msgspec.json.encode(step).decode()}]" if _encodable(step) else "[…]"
    return written


def _root(text: str) -> msgspec.Raw:
    """Raises: ValueError."""
    if text.count(",") > MOST_COMMAS:
        raise ValueError("too many values")
    return msgspec.json.decode(text, type=msgspec.Raw)


def _below(path: Path, raw: msgspec.Raw) -> Iterator[tuple[Path, msgspec.Raw]]:
    return (((*path, key), value) for key, value in _entries(raw))


def _resolve(raw: msgspec.Raw, at: str) -> tuple[Path, msgspec.Raw]:
    """Raises: ValueError."""
    path: Path = ()
    for step in _steps(at):
        key, raw = next((entry for entry in _entries(raw) if str(entry[0]) == step), (None, raw))
        if key is None:
            raise ValueError("no such value")
        path = (*path, key)
    return path, raw


def _steps(at: str) -> Iterator[str]:
    if not at:
        return
    if not at.startswith("/"):
        raise ValueError("not a JSON pointer")
    for step in at[1:].split("/"):
        yield step.replace("~1", "/").replace("~0", "~")


def _node(path: Path, raw: msgspec.Raw, limit: int, masked: Collection[str]) -> Node:
    node = Node(path, _kind(raw))
    if node.kind not in ("object", "array"):
        text = _leaf(raw)
        node.text = Text.of(text, limit)
        node.masked = masking.SUBSTITUTE in text or (node.kind == "string" and bool(text) and node.name in masked)
    return node


def _kind(raw: msgspec.Raw) -> Kind:
    return _KINDS.get(memoryview(raw)[0], "number")


def _entries(raw: msgspec.Raw) -> list[Entry]:
    """The members or elements; none of what has none. Of members with equal names the last counts."""
    match _kind(raw):
        case "object":
            return list(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).items())
        case "array":
            return list(enumerate(msgspec.json.decode(raw, type=list[msgspec.Raw])))
    return []


def _leaf(raw: msgspec.Raw) -> str:
    if _kind(raw) == "string":
        try:
            return msgspec.json.decode(raw, type=str)
        except ValueError:  # half of a surrogate pair
            pass
    return bytes(raw).decode(errors="replace")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
