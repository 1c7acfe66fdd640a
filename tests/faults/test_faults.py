"""A short version of `make faults`, with a fixed seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import run


@pytest.mark.timeout(300)
def test_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    result = run.run(tmp_path / "run", seconds=60, seed=1499, rate=400)
    print(result.table())
    assert [goal for goal in result.goals() if not goal["met"]] == []
    assert result.placed().total() >= 5
    assert len(result.findings.acknowledged) > 4_000
