"""How far the exports of this process are, for the page that asked for them."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any

_JOB = re.compile(r"[0-9a-f]{32}")
_MOST = 200


@dataclass(slots=True)
class Progress:
    """An export: `state` is `running`, `done` or `failed`; `total` is None if the number of rows is not known."""

    total: int | None = None
    rows: int = 0
    state: str = "running"
    sha256: str = ""

    def told(self) -> dict[str, Any]:
        """It as JSON."""
        return asdict(self)


class Exports:
    """The last exports, by user and by the identity that the user's browser gave them."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Progress] = OrderedDict()
        self._lock = Lock()

    def start(self, user: str, job: str, total: int | None) -> Progress:
        """Note an export; one whose identity is none (32 hexadecimal digits) is not kept."""
        progress = Progress(total)
        if _JOB.fullmatch(job):
            with self._lock:
                self._known[user, job] = progress
                while len(self._known) > _MOST:
                    self._known.popitem(last=False)
        return progress

    def find(self, user: str, job: str) -> Progress | None:
        """The user's export, None if there is none such."""
        with self._lock:
            return self._known.get((user, job))
