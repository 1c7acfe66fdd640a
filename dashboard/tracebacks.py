"""Errors as people read them: what was raised first, the way there folded."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flask import Flask

from dashboard.values import Text

_HEAD = re.compile(r"^Traceback \(most recent call last\):[ \t\r]*$", re.MULTILINE)
_FRAME = re.compile(r"^  File ", re.MULTILINE)
#: What is looked at, from the end: Python says last what matters most.
MOST_CHARACTERS = 1_000_000
#: Characters of the line that is always shown.
CLIP_LINE = 1_000


@dataclass(frozen=True, slots=True)
class Traceback:
    """The exception's own line or lines, how many frames led to it, and how many others it came from."""

    raised: Text
    frames: int
    causes: int


def init_app(app: Flask) -> None:
    """Give the templates the filter `traceback`."""
    app.jinja_env.filters["traceback"] = read


def read(text: str) -> Traceback | None:
    """What the last traceback in `text` says; None if there is none in it."""
    end = text[-MOST_CHARACTERS:]
    heads = list(_HEAD.finditer(end))
    if not heads:
        return None
    body = end[heads[-1].end() :].lstrip("\r\n")
    frames = len(_FRAME.findall(body))
    lines = body.splitlines()
    # Frames and the code in them are indented; the exception is not.
    first = next(
        (number for number, line in enumerate(lines) if line.strip() and not line.startswith((" ", "\t"))), None
    )
    if first is None:
        return None
    return Traceback(Text.of("\n".join(lines[first:]).strip(), CLIP_LINE), frames, len(heads) - 1)
