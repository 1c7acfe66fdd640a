"""A short version of `make faults-away`."""

from __future__ import annotations

from pathlib import Path

from tests.faults import away


def test_clickhouse_away(tmp_path: Path) -> None:
    result = away.run(tmp_path / "away", seconds=20, rate=2000)
    print(result.table())
    assert [goal for goal in result.goals() if not goal["met"]] == []
    assert len(result.findings.acknowledged) > 20_000
