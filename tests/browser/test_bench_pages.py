"""The benchmark of the pages, small: that each is found and shown, not how soon."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_every_page_is_shown(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.pages", "--rows", "3000", "--rounds", "1", "--folder", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    goals = json.loads(done.stdout.splitlines()[-1])["goals"]
    assert len(goals) == 3 * 12
    assert all(goal["value"] > 0 for goal in goals)
