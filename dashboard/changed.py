"""The changed fields of an admin change as shown: two values, one text with its edits, or what differs inside."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask

from dashboard import diff, rows
from dashboard.diff import MISSING, Operation, Part
from dashboard.rows import Item
from dashboard.values import Text, pretty

#: Texts of this length, or with more than one line, are compared word by word; longer ones than the second are not.
FROM_CHARACTERS, TO_CHARACTERS = 40, 64 * 1024
#: Characters around an edit that stay unfolded.
CONTEXT = 120


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text with edits; `folded` says that it is the same in both and of little interest."""

    operation: Operation
    text: Text
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Inside:
    """A difference within a value: where, and what was and is there (None: nothing)."""

    way: str
    old: Text | None
    new: Text | None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field before and after; None where there is no value.

    Attributes:
        pieces: of two long texts, one text with its edits.
        insides: of two lists or objects, what differs; `more` says that not all of it is here, and `reordered`
            that only the order of a list does.
    """

    field: str
    old: Text | None
    new: Text | None
    masked: bool
    pieces: list[Piece] = dataclasses.field(default_factory=list)
    insides: list[Inside] = dataclasses.field(default_factory=list)
    more: bool = False
    reordered: bool = False

    @property
    def clipped(self) -> bool:
        """Whether some of it is not shown."""
        sides = [self.old, self.new] if not self.pieces and not self.insides else []
        texts = [*sides, *(piece.text for piece in self.pieces), *(s for i in self.insides for s in (i.old, i.new))]
        return self.more or any(text is not None and text.clipped for text in texts)


def init_app(app: Flask) -> None:
    """Give the templates the filter `changes`."""
    app.jinja_env.filters["changes"] = changes


def changes(item: Item, limit: int, most: int = 200) -> list[FieldChange]:
    """The rows of the field diff of an admin change; empty if the values are not known.

    Args:
        limit: characters of a value.
        most: changes.
    """
    stored = item.get("changes")
    if not isinstance(stored, list):
        return []
    masked = set(item.get("masked") or ())
    known = [change for change in stored if isinstance(change, dict)]
    return [_change(change, str(change.get("field", "")), masked, limit) for change in known[:most]]


def _change(change: dict[str, Any], name: str, masked: set[str], limit: int) -> FieldChange:
    old, new = change.get("old"), change.get("new")
    shown = FieldChange(name, _side(old, limit), _side(new, limit), name in masked)
    if isinstance(old, str) and isinstance(new, str):
        was, now = _structure(old), _structure(new)
        if was is None or now is None:
            return FieldChange(name, shown.old, shown.new, shown.masked, pieces=list(_pieces(old, new, limit)))
        old, new = was, now
    found = diff.structures(old, new)
    if found is None:
        return shown
    insides = [Inside(entry.way, _inside(entry.old, limit), _inside(entry.new, limit)) for entry in found[0]]
    return FieldChange(
        name, shown.old, shown.new, shown.masked, insides=insides, more=found[1], reordered=not insides and old != new
    )


def _structure(text: str) -> Any:
    """The list or object that a text holds as JSON; None for any other text."""
    value = rows.parse_json(text) if text[:1] in ("{", "[") and len(text) <= TO_CHARACTERS else None
    return value if isinstance(value, dict | list) else None


def _pieces(old: str, new: str, limit: int) -> Iterator[Piece]:
    longer = max(len(old), len(new))
    if not min(len(old), len(new)) or longer > TO_CHARACTERS:
        return
    if longer < FROM_CHARACTERS and "\n" not in old + new:
        return
    parts = diff.texts(old, new) or []
    for number, part in enumerate(parts):
        if part.operation == "same":
            yield from _folded(part, number > 0, number < len(parts) - 1)
        else:
            yield Piece(part.operation, Text.of(part.text, max(limit, CONTEXT)))


def _folded(part: Part, before: bool, behind: bool) -> Iterator[Piece]:
    """The ends that are beside an edit, and what is between or beyond them folded."""
    start, end = CONTEXT * before, len(part.text) - CONTEXT * behind
    if end - start <= CONTEXT:
        yield Piece("same", Text.of(part.text, len(part.text)))
        return
    for text, folded in ((part.text[:start], False), (part.text[start:end], True), (part.text[end:], False)):
        if text:
            yield Piece("same", Text.of(text, len(text)), folded)


def _side(value: object, limit: int) -> Text | None:
    if value is None:
        return None
    return Text.of(pretty(value) if value != "" else '""', limit)


def _inside(value: object, limit: int) -> Text | None:
    return None if value is MISSING else Text.of(pretty(value) if value is not None else "null", limit)
