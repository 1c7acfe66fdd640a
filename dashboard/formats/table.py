"""What is exported, as every format gets it, and the buffer that the binary formats write to."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from dashboard.columns import Column, Report


@dataclass(slots=True)
class Table:
    """The columns of a file in their order, for a reader.

    Args:
        zone: of the times.
        language: `es` or `en`.
        rows: how many there will be; None if that is not known.
        cut_note: what stands behind a text that was cut, with `{count}` for its whole length in characters.
        cut_cells: how many texts were cut so far.
    """

    report: Report
    columns: tuple[Column, ...]
    zone: ZoneInfo
    language: str
    rows: int | None = None
    cut_note: str = ""
    cut_cells: int = 0


def heading(column: Column, zone: ZoneInfo) -> str:
    """What a column of a sheet is called: its name, with the zone of its times."""
    return f"{column.name} ({zone.key})" if column.kind == "time" else column.name


class Buffer:
    """A file that cannot be sought in, for writers that want one; `take` empties it."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep a piece."""
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing: what is written is there."""

    def take(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data
