"""Builds the user guide: docs/guide/<language>/*.md made into pages of the dashboard, with their pictures."""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "docs" / "guide"
TARGET = ROOT / "dashboard" / "guide"
LANGUAGES = ("en", "es")
#: The chapters in their order, by the name of their page: the English file, the Spanish file.
CHAPTERS = {
    "index": ("index", "index"),
    "reports": ("reports", "informes"),
    "search": ("search", "buscar"),
    "detail": ("detail", "detalle"),
    "live": ("live", "en-vivo"),
    "views": ("views", "vistas"),
    "exports": ("exports", "exportar"),
    "trends": ("trends", "tendencias"),
    "integrations": ("integrations", "integraciones"),
    "accessibility": ("accessibility", "accesibilidad"),
}
URL = "/help/"


class GuideError(ValueError):
    """A chapter that cannot be built: the file, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter as a page: its title, its headings of the second level by their identity, and its HTML."""

    title: str
    headings: tuple[tuple[str, str], ...]
    html: str
    pictures: tuple[Path, ...]


def chapters(source: Path = SOURCE) -> dict[str, dict[str, Chapter]]:
    """The chapters that are there, by language and by name.

    Raises:
        GuideError: a chapter in one language only, an unknown file, a link or a picture that leads nowhere.
    """
    found: dict[str, dict[str, Chapter]] = {}
    for place, language in enumerate(LANGUAGES):
        names = {files[place]: name for name, files in CHAPTERS.items()}
        here = {path.stem: path for path in sorted((source / language).glob("*.md"))}
        if unknown := here.keys() - names.keys():
            raise GuideError(
                f"{source / language}: {', '.join(sorted(unknown))} is no chapter of deploy.guide.CHAPTERS."
            )
        found[language] = {
            name: _chapter(here[stem], {stem: names[stem] for stem in here})
            for stem, name in names.items()
            if stem in here
        }
    first, *others = found.values()
    for other in others:
        if alone := first.keys() ^ other.keys():
            raise GuideError(f"{', '.join(sorted(alone))}: written in one language only.")
    return found


def build(source: Path = SOURCE, target: Path = TARGET) -> None:
    """Write the guide's pages, pictures and `index.json` to a folder, in the place of what was there."""
    found = chapters(source)
    staging = target.with_name(f"{target.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    index: dict[str, Any] = {}
    for language, made in found.items():
        (staging / language).mkdir(parents=True)
        index[language] = []
        for name in CHAPTERS:
            if name not in made:
                continue
            chapter = made[name]
            (staging / language / f"{name}.html").write_text(chapter.html)
            index[language].append({"name": name, "title": chapter.title, "headings": chapter.headings})
            for picture in chapter.pictures:
                copy = staging / "images" / picture_name(picture)
                copy.parent.mkdir(exist_ok=True)
                shutil.copyfile(picture, copy)
    (staging / "index.json").write_text(json.dumps(index, ensure_ascii=False))
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)


def picture_name(picture: Path) -> str:
    """A picture's name among all of them: its path below docs/images."""
    parts = picture.parts
    return "-".join(parts[len(parts) - parts[::-1].index("images") :])


def _chapter(path: Path, names: dict[str, str]) -> Chapter:
    tokens = MarkdownIt("commonmark", {"html": False}).enable("table").parse(path.read_text())
    pictures: list[Path] = []
    headings: list[tuple[str, str]] = []
    title = ""
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            text = _plain(tokens[place + 1])
            if token.tag == "h1":
                title = title or text
            else:
                identity = slug(text)
                token.attrSet("id", identity)
                if token.tag == "h2":
                    headings.append((identity, text))
        elif token.type == "table_open":
            token.attrSet("class", "plain-table")
        for child in token.children or ():
            if child.type == "image":
                pictures.append(_picture(child, path))
            elif child.type == "link_open":
                _link(child, path, names)
    if not title:
        raise GuideError(f"{path}: has no title.")
    html = MarkdownIt("commonmark", {"html": False}).enable("table").renderer.render(tokens, MarkdownIt().options, {})
    return Chapter(title, tuple(headings), str(html), tuple(pictures))


def slug(text: str) -> str:
    """The identity of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", unicodedata.normalize("NFC", text).lower()).strip().replace(" ", "-")


def _plain(token: Token) -> str:
    return "".join(child.content for child in token.children or ())


def _picture(token: Token, path: Path) -> Path:
    picture = (path.parent / str(token.attrGet("src"))).resolve()
    if not picture.is_file() or "images" not in picture.parts:
        raise GuideError(f"{path}: the picture {token.attrGet('src')} is missing.")
    if not token.content.strip():
        raise GuideError(f"{path}: the picture {token.attrGet('src')} is not described.")
    width, height = _size(picture)
    token.attrSet("src", f"{URL}images/{picture_name(picture)}")
    token.attrSet("width", str(width))
    token.attrSet("height", str(height))
    token.attrSet("loading", "lazy")
    return picture


def _size(picture: Path) -> tuple[int, int]:
    """Width and height of a PNG, so that nothing moves while it loads."""
    head = picture.read_bytes()[:24]
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        raise GuideError(f"{picture}: is no PNG.")
    return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])


def _link(token: Token, path: Path, names: dict[str, str]) -> None:
    """Make a link to a chapter's file one to its page; check that the others lead somewhere."""
    target, mark, heading = str(token.attrGet("href")).partition("#")
    if "://" in target:
        token.attrSet("rel", "noreferrer")
        return
    if target.startswith("/"):
        return
    if target and (not target.endswith(".md") or target.removesuffix(".md") not in names):
        raise GuideError(f"{path}: the link to {target} leads nowhere.")
    aim = path.parent / target if target else path
    if heading and heading not in {
        slug(line.lstrip("# ")) for line in aim.read_text().splitlines() if line.startswith("#")
    }:
        raise GuideError(f"{path}: {aim.name} has no heading #{heading}.")
    if target:
        name = names[target.removesuffix(".md")]
        token.attrSet("href", URL + ("" if name == "index" else name) + mark + heading)


if __name__ == "__main__":
    build()
