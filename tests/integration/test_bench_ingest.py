"""The benchmarks of the worker, small: that they run, not how fast."""

from __future__ import annotations

import json
import sys

import pytest

from tests.benchmarks import ingest, latency

GOALS = {"name", "value", "goal", "met"}


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The last line of what was printed."""
    line: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["goals"]
    assert all(item.keys() >= GOALS for item in line["goals"])  # type: ignore[attr-defined]
    return line


def test_ingest(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(
        sys, "argv", ["ingest", "--events", "4000", "--rounds", "1", "--partitions", "1", "--peers", "passthrough"]
    )
    ingest.main()
    rows = result(capsys)["rows"]
    assert isinstance(rows, dict)
    assert set(rows) == {"ours", "passthrough"}


def test_a_peer_that_there_is_not_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ingest", "--peers", "passthrough,nonsense"])
    with pytest.raises(SystemExit, match="2"):
        ingest.main()
    assert "nonsense is none of passthrough, faust, quix, engine" in capsys.readouterr().err


def test_latency(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(
        sys, "argv", ["latency", "--rates", "50", "--seconds", "1", "--rounds", "1", "--partitions", "1"]
    )
    latency.main()
    rows = result(capsys)["rows"]
    assert isinstance(rows, list)
    assert [row[:2] for row in rows] == [["ours", 50], ["passthrough", 50]]
