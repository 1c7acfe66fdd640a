"""What is different between an old and a new value: words of texts, elements of lists, members of objects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, NamedTuple

import msgspec

from dashboard.tree import Path, way

Operation = Literal["same", "removed", "added"]

#: Steps of one comparison, and how many parts may differ: they bound its time at some tenths of a second.
MOST_STEPS, MOST_DIFFERENT = 1_000_000, 800
#: Differences that are listed of two lists or objects, and levels that are looked into.
MOST_ENTRIES, MOST_LEVELS = 200, 20
#: Texts that share less than this of the longer one are told apart better as a whole.
LEAST_SHARED = 0.25

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")


class Part(NamedTuple):
    """A piece of a text, and whether only one side has it."""

    operation: Operation
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A difference between two JSON values; a side that has nothing there is `MISSING`."""

    way: str
    old: Any
    new: Any


class _Missing:
    """Not even null."""

    __slots__ = ()


MISSING = _Missing()


def texts(old: str, new: str) -> list[Part] | None:
    """The parts of both texts in order: words, or lines where many words differ.

    None if they share too little, or are too different to be compared in bounded time.
    """
    for pieces in (_WORDS, _LINES):
        parts = _compare(pieces.findall(old), pieces.findall(new))
        if parts is not None:
            shared = sum(len(part.text) for part in parts if part.operation == "same")
            return parts if shared >= LEAST_SHARED * max(len(old), len(new)) else None
    return None


def structures(old: Any, new: Any) -> tuple[list[Entry], bool] | None:
    """The differences of two lists or two objects, and whether there are more than those.

    Elements of a list are found again wherever they stand. None if the values are not of one of these kinds.
    """
    if not isinstance(old, dict | list) or type(old) is not type(new):
        return None
    found: list[Entry] = []
    for entry in _walk((), old, new):
        if len(found) == MOST_ENTRIES:
            return found, True
        found.append(entry)
    return found, False


def _walk(path: Path, old: Any, new: Any) -> Iterator[Entry]:
    if _same(old, new):
        return
    if len(path) < MOST_LEVELS:
        if isinstance(old, dict) and isinstance(new, dict):
            for name in chain(old, (name for name in new if name not in old)):
                yield from _walk((*path, name), old.get(name, MISSING), new.get(name, MISSING))
            return
        if isinstance(old, list) and isinstance(new, list):
            yield from _elements(path, old, new)
            return
    yield Entry(way(path), old, new)


def _elements(path: Path, old: list[Any], new: list[Any]) -> Iterator[Entry]:
    if len(old) == len(new) and all(isinstance(item, dict) for item in chain(old, new)):
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _walk((*path, place), before, after)
        return
    gone = Counter(map(_written, old)) - Counter(map(_written, new))
    come = Counter(map(_written, new)) - Counter(map(_written, old))
    for items, left, added in ((old, gone, False), (new, come, True)):
        for place, item in enumerate(items):
            text = _written(item)
            if left[text] > 0:
                left[text] -= 1
                yield Entry(way((*path, place)), MISSING if added else item, item if added else MISSING)


def _same(old: Any, new: Any) -> bool:
    # In Python, True == 1 == 1.0.
    return old is new or (old is not MISSING and new is not MISSING and _written(old) == _written(new))


def _written(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (RecursionError, UnicodeEncodeError):
        return repr(type(value)).encode()


def _compare(old: Sequence[str], new: Sequence[str]) -> list[Part] | None:
    """The parts of the shortest edit script (Myers 1986); None if that takes too many steps."""
    first = 0
    while first < min(len(old), len(new)) and old[first] == new[first]:
        first += 1
    last = 0
    while last < min(len(old), len(new)) - first and old[-1 - last] == new[-1 - last]:
        last += 1
    middle = _edits(old[first : len(old) - last], new[first : len(new) - last])
    if middle is None:
        return None
    pieces: list[tuple[Operation, str]] = [("same", "".join(old[:first])), *middle]
    pieces.append(("same", "".join(old[len(old) - last :])))
    return list(_joined(pieces))


def _edits(old: Sequence[str], new: Sequence[str]) -> list[tuple[Operation, str]] | None:
    reached = {1: 0}
    rounds: list[dict[int, int]] = []
    steps = 0
    for distance in range(min(len(old) + len(new), MOST_DIFFERENT) + 1):
        rounds.append({place: reached[place] for place in range(-distance - 1, distance + 2, 2) if place in reached})
        for diagonal in range(-distance, distance + 1, 2):
            down = diagonal == -distance or (diagonal != distance and reached[diagonal - 1] < reached[diagonal + 1])
            x = reached[diagonal + 1] if down else reached[diagonal - 1] + 1
            start = x
            while x < len(old) and x - diagonal < len(new) and old[x] == new[x - diagonal]:
                x += 1
            reached[diagonal] = x
            steps += x - start + 1
            if x >= len(old) and x - diagonal >= len(new):
                return _retraced(old, new, rounds)
        if steps > MOST_STEPS:
            return None
    return None


def _retraced(old: Sequence[str], new: Sequence[str], rounds: list[dict[int, int]]) -> list[tuple[Operation, str]]:
    backwards: list[tuple[Operation, str]] = []
    x, y = len(old), len(new)
    for distance in range(len(rounds) - 1, -1, -1):
        reached, diagonal = rounds[distance], x - y
        down = diagonal == -distance or (
            diagonal != distance and reached.get(diagonal - 1, -1) < reached.get(diagonal + 1, -1)
        )
        before = diagonal + 1 if down else diagonal - 1
        start = reached[before] if distance else 0
        start_y = start - before if distance else 0
        while x > start and y > start_y and (x, y) != (start, start_y) and x > 0 and y > 0 and old[x - 1] == new[y - 1]:
            backwards.append(("same", old[x - 1]))
            x, y = x - 1, y - 1
        if distance:
            backwards.append(("added", new[start_y]) if down else ("removed", old[start]))
            x, y = start, start_y
    return backwards[::-1]


def _joined(pieces: Sequence[tuple[Operation, str]]) -> Iterator[Part]:
    """Neighbours of a kind as one; between two that are the same, what was removed before what was added."""
    same, removed, added = "", "", ""
    for operation, text in pieces:
        if operation == "same" and text:
            if removed or added:
                # A space alone between changed words only makes them harder to read.
                if text.isspace() and "\n" not in text:
                    removed, added = removed + text, added + text
                    continue
                yield from _flushed(same, removed, added)
                same, removed, added = "", "", ""
            same += text
        elif operation == "removed":
            removed += text
        elif operation == "added":
            added += text
    yield from _flushed(same, removed, added)


def _flushed(same: str, removed: str, added: str) -> Iterator[Part]:
    if same:
        yield Part("same", same)
    if removed:
        yield Part("removed", removed)
    if added:
        yield Part("added", added)
