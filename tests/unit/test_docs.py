"""The documentation describes what is there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from deploy import reference

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md"])


@cache
def generated() -> dict[str, str]:
    """The pages, made by a process in which no command has run: click remembers how a command was asked for help."""
    program = "import json; from deploy import reference; print(json.dumps(reference.pages()))"
    return json.loads(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)


@pytest.mark.parametrize("name", ["settings.md", "command-line.md", "metrics.md"])
def test_reference_pages_are_fresh(name: str) -> None:
    assert (reference.DOCS / name).read_text() == generated()[name], "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_page_is_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert f"docs/{page.name}" in readme, f"{page.name} is not linked"


def test_make_targets_in_the_docs_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)", page.read_text()):
            known = rf"^{target}:|^BENCHES := .*\b{target}(?: |$)"
            assert re.search(known, makefile, re.M), f"{page.name} names `make {target}`"
