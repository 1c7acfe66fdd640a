"""Minutes of the rollup are built anew until they agree with the rows, and what comes late is waited for."""

from __future__ import annotations

from typing import Any, cast

import pytest

from consumers import rollups
from consumers.database import Database

TOPIC_ID = "6e1c1a2c-6a0f-4f6e-9a37-0f8a5a3b1c2d"


class Rollup:
    """A minute that is wrong; `late` inserts reach the rollup only after a pause behind a rebuild."""

    def __init__(self, late: int) -> None:
        self.late, self.built = late, 0
        self.wrong = True
        self.on_its_way = False

    def rebuild(self, *_: Any) -> None:
        self.built += 1
        self.wrong = False
        self.on_its_way = self.built <= self.late

    def pause(self, _seconds: float) -> None:
        self.wrong |= self.on_its_way
        self.on_its_way = False

    def differing(self, *_: Any) -> list[int]:
        return [60] if self.wrong else []


@pytest.mark.parametrize("late", [0, 1, 3])
def test_what_comes_late_is_waited_for(monkeypatch: pytest.MonkeyPatch, late: int) -> None:
    rollup = Rollup(late)
    monkeypatch.setattr(rollups, "_rebuild", rollup.rebuild)
    monkeypatch.setattr(rollups, "_differing_of", rollup.differing)
    monkeypatch.setattr(rollups.time, "sleep", rollup.pause)
    assert rollups.mend(cast(Database, None), TOPIC_ID, 0, [60]) == 1
    assert (rollup.built, rollup.wrong, rollup.on_its_way) == (late + 1, False, False)


def test_what_never_agrees_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    rollup = Rollup(late=rollups.ATTEMPTS)
    monkeypatch.setattr(rollups, "_rebuild", rollup.rebuild)
    monkeypatch.setattr(rollups, "_differing_of", rollup.differing)
    monkeypatch.setattr(rollups.time, "sleep", rollup.pause)
    with pytest.raises(rollups.RollupDiffers):
        rollups.mend(cast(Database, None), TOPIC_ID, 0, [60])
