"""The producers' tests on the oldest Django that is supported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = sorted(str(path) for path in (ROOT / "tests" / "unit").glob("test_producer_*.py"))


@pytest.mark.parametrize("version", ["4.2"])
def test_the_producers_work_on(version):
    folder = ROOT / ".cache" / f"django-{version}"
    if not (folder / ".complete").exists():
        wanted = [f"Django=={version}.*", "djangorestframework"]
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--target", str(folder), *wanted]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        (folder / ".complete").touch()
    # The packages there are no newer than what the virtual environment's others were made for: let them warn.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "default", *TESTS]
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    code = "import django; print(django.__version__)"
    used = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert used.stdout.startswith(version)
