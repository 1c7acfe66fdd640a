"""What may go on in the search bar where somebody types."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard import dates, qualifiers, search
from dashboard.columns import Column, Report
from dashboard.qualifiers import Qualifier


@dataclass(frozen=True, slots=True)
class Place:
    """The word at the cursor: what stands before it is left alone, from `start` to `end` it is replaced.

    Args:
        head: what of the word stays before the value: its sign and name.
        prefix: what is typed of a value or a name.
        qualifier: whose value is typed; None for a name.
    """

    start: int
    end: int
    head: str
    prefix: str
    qualifier: Qualifier | None

    @property
    def column(self) -> Column | None:
        """The column whose value is typed; None for a name and for a date."""
        return self.qualifier.column if self.qualifier else None


def place(text: str, at: int, report: Report) -> Place:
    """Where the cursor stands if it is before the character `at`."""
    words = list(search.tokens(text[:at]))
    end = at
    while end < len(text) and not text[end].isspace():
        end += 1
    word = words[-1] if words else None
    # Behind a space a new word begins, unless it is within quotes.
    if word is None or (word.end < at or (text[:at][-1:].isspace() and word.closed)):
        return Place(at, end, "", "", None)
    found = qualifiers.find(report, word.name) if word.name and not word.field else None
    if found is None:
        sign = "-" if word.negated else ""
        return Place(word.start, end, sign, "" if word.quoted or word.name else word.value, None)
    return Place(word.start, end, text[word.start : word.value_start], word.value, found)


def words(place: Place, report: Report, language: str) -> list[tuple[str, str]]:
    """What may stand at a place that is no column's value: names of qualifiers with their columns, or dates."""
    typed = dates.plain(place.prefix)
    if place.qualifier:
        spans = [text for text in dates.suggestions(language) if dates.plain(text).startswith(typed)]
        return [(written(place, text), "") for text in spans]
    if not typed and not place.head and place.start != place.end:
        return []
    found = []
    for qualifier in qualifiers.of(report):
        spellings = [dates.plain(name) for name in qualifiers.spellings(qualifier)]
        if any(name.startswith(typed) for name in spellings) and not (place.head and qualifier.column is None):
            found.append((f"{place.head}{qualifier.name(language)}:", qualifier.parameter))
    return found


def written(place: Place, value: str) -> str:
    """The word with this value."""
    return place.head + search.value_text(place.column, value)
