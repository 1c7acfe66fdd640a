"""The benchmark of the dashboard's queries, small: that every view still has an answer, not how fast."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.views import VIEWS


def test_every_view_beside_the_peer(tmp_path: Path) -> None:
    # In a process of its own, since Django is set up for PostgreSQL there.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KRILL_", "DJANGO_"))}
    command = [sys.executable, "-m", "tests.benchmarks.query", "--rows", "3000", "--rounds", "1", "--folder", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert "Traceback" not in done.stderr, done.stderr
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert all(goal.keys() >= {"name", "value", "goal", "peer", "met"} for goal in line["goals"])
    assert line["bytes_per_event"] > 50
    assert [view["name"] for view in line["views"]] == [view.name for view in VIEWS]
    assert all(view["p95"] > 0 for view in line["views"])
    asked = [view["name"] for view in line["views"] if view.get("peer_p95", 0) > 0]
    assert asked == [view.name for view in VIEWS if view.peer]
    assert "bytes per event" in [goal["name"] for goal in line["goals"]]
