"""The benchmark of the dashboard's queries, small: that every view still has an answer, not how fast."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.views import VIEWS


def run(folder: Path, *arguments: str) -> dict[str, Any]:
    """The last line of a run in a process of its own, since Django is set up for PostgreSQL there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KRILL_", "DJANGO_"))}
    command = [sys.executable, "-m", "tests.benchmarks.query", "--rows", "3000", "--rounds", "1", "--folder", folder]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment)
    assert "Traceback" not in done.stderr, done.stderr
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert all(goal.keys() >= {"name", "value", "goal", "peer", "met"} for goal in line["goals"])
    assert line["bytes_per_event"] > 50
    return line


def test_every_view(tmp_path: Path) -> None:
    found = run(tmp_path, "--no-peer")
    assert [view["name"] for view in found["views"]] == [view.name for view in VIEWS]
    assert all(view["p95"] > 0 for view in found["views"])


def test_the_peer_is_asked_the_same(tmp_path: Path) -> None:
    found = run(tmp_path, "--only", "a month")
    assert len(found["views"]) > 4
    assert all(view["peer_p95"] > 0 for view in found["views"])
    assert "bytes per event" in [goal["name"] for goal in found["goals"]]
