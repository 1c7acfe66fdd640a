"""The user guide: whole in both languages, and without links or pictures that lead nowhere."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from deploy import guide


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the guide, to be broken."""
    for part in ("guide", "images"):
        shutil.copytree(guide.SOURCE.parent / part, tmp_path / part)
    return tmp_path / "guide"


def test_the_guide_is_the_same_in_both_languages() -> None:
    spanish, english = guide.chapters()["es"], guide.chapters()["en"]
    assert list(spanish) == list(english)
    assert {"index", "reports", "views", "exports", "accessibility"} <= spanish.keys()
    for name, chapter in spanish.items():
        other = english[name]
        assert len(chapter.headings) == len(other.headings), name
        assert [path.name for path in chapter.pictures] == [path.name for path in other.pictures], name
        for table in ("<tr>", "<li>"):
            assert chapter.html.count(table) == other.html.count(table), name
    assert sum(len(chapter.pictures) for chapter in spanish.values()) >= 5


def test_pictures_are_small() -> None:
    for picture in (guide.SOURCE.parent / "images" / "guide").rglob("*.png"):
        assert picture.stat().st_size < 250_000, picture.name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[x](nowhere.md)", "the link to nowhere.md leads nowhere"),
        ("[x](../../README.md)", "leads nowhere"),
        ("[x](exports.md#nothing)", "exports.md has no heading #nothing"),
        ("![x](../../images/nothing.png)", "the picture ../../images/nothing.png is missing"),
        ("![](../../images/home.png)", "is not described"),
    ],
)
def test_what_leads_nowhere_is_named(source: Path, text: str, said: str) -> None:
    chapter = source / "en" / "reports.md"
    chapter.write_text(f"{chapter.read_text()}\n{text}\n")
    with pytest.raises(guide.GuideError, match=re.escape(said)):
        guide.chapters(source)


def test_a_chapter_in_one_language_only_is_named(source: Path) -> None:
    (source / "es" / "exportar.md").unlink()
    for path in source.rglob("*.md"):
        path.write_text(re.sub(r"\[([^]]*)\]\([a-z-]+\.md[^)]*\)", r"\1", path.read_text()))
    with pytest.raises(guide.GuideError, match="exports: written in one language only"):
        guide.chapters(source)


def test_an_unknown_chapter_or_one_without_a_title_is_named(source: Path) -> None:
    (source / "en" / "reports.md").write_text("No title.")
    with pytest.raises(guide.GuideError, match="has no title"):
        guide.chapters(source)
    (source / "en" / "extra.md").write_text("# Extra")
    with pytest.raises(guide.GuideError, match=r"extra is no chapter of deploy\.guide\.CHAPTERS"):
        guide.chapters(source)


def test_it_is_built_with_its_pictures_and_lets_no_html_through(source: Path, tmp_path: Path) -> None:
    chapter = source / "en" / "reports.md"
    chapter.write_text(f"{chapter.read_text()}\n<script>alert(1)</script> [x](javascript:alert(1))\n")
    target = tmp_path / "built"
    guide.build(source, target)
    index = json.loads((target / "index.json").read_text())
    assert [each["name"] for each in index["es"]] == [each["name"] for each in index["en"]]
    html = (target / "en" / "reports.html").read_text()
    assert "<script" not in html
    assert 'href="javascript' not in html
    for page in target.rglob("*.html"):
        for name in re.findall(r'src="/help/images/([^"]+)"', page.read_text()):
            assert (target / "images" / name).is_file()
