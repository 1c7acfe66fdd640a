"""The benchmark of exports, small: that both files are written and measured, not how fast."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def test_files_are_written_and_measured(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KRILL_", "DJANGO_"))}
    command = [sys.executable, "-m", "tests.benchmarks.export", "--rows", "3000", "--rounds", "1", "--folder", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert "Traceback" not in done.stderr, done.stderr
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert all(goal.keys() >= {"name", "value", "goal", "met"} for goal in line["goals"])
    assert len(line["goals"]) == 2
    assert list(line["files"]) == ["dashboard", "Django"]
    assert all(file["mb"] > 0.5 and file["rows_per_second"] > 0 for file in line["files"].values())
    assert min(line["peak_mib"]) > 50
