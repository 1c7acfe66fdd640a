"""What is to be replaced in one text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from schemas.masking.text import TextMasker


class Edit(NamedTuple):
    """`text[start:end]` is to be replaced; `names` are the fields that are masked by it."""

    start: int
    end: int
    text: str
    names: tuple[str, ...] = ()


class Edits:
    """Gathers edits in any order; where they overlap the outer one counts."""

    def __init__(self, masker: TextMasker, text: str, nesting: int) -> None:
        self.masker = masker
        self.text = text
        self.nesting = nesting
        self._edits: list[Edit] = []

    def add(self, edit: Edit, name: str) -> None:
        """Adds the edit that masks the field `name`."""
        self._edits.append(edit._replace(names=(name,)))

    def inside(self, start: int, end: int, plain: str, encode: Callable[[str], str]) -> str:
        """Masks what `text[start:end]` says, which is `plain`. Returns `plain` masked."""
        if not self.masker.might(plain):
            return plain
        inner = self.masker.like()
        masked = inner.mask(plain, self.nesting + 1)
        if masked != plain or inner.names:
            written = self.text[start:end] if masked == plain else encode(masked)
            self._edits.append(Edit(start, end, written, tuple(inner.names)))
        return masked

    def apply(self) -> str:
        """The text with all edits made; their names are reported."""
        if not self._edits:
            return self.text
        pieces: list[str] = []
        done = 0
        # Of two with the same extent the later one knows more: a pair's name came after its value.
        edits = self._edits[::-1]
        edits.sort(key=lambda edit: (edit.start, -edit.end))
        for start, end, replacement, names in edits:
            if start >= done:
                pieces += (self.text[done:start], replacement)
                done = end
                for name in names:
                    self.masker.report(name)
        pieces.append(self.text[done:])
        return "".join(pieces)
