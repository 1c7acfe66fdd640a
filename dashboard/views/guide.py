"""The user guide, as `make guide` built it, in the language of its reader."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, render_template, request, send_from_directory
from flask_babel import gettext
from markupsafe import Markup

from dashboard import i18n

blueprint = Blueprint("guide", __name__)

GUIDE = Path(__file__).parents[1] / "guide"
#: The chapter for a page, by the beginning of its path; the first that fits counts.
_CHAPTERS = (
    ("/api-requests/", "detail"),
    ("/admin-changes/", "detail"),
    ("/objects/", "detail"),
    ("/api-requests", "reports"),
    ("/admin-changes", "reports"),
    ("/trends", "trends"),
    ("/integrations", "integrations"),
    ("/views", "views"),
    ("/account", "accessibility"),
)


@blueprint.get("/help/")
@blueprint.get("/help/<name>")
def show(name: str = "index") -> str:
    """A chapter."""
    chapters = {chapter["name"]: chapter for chapter in _index().get(i18n.language(), ())}
    if name not in chapters:
        abort(404, None if chapters else gettext("The guide is not built: run `make guide`."))
    # Rendered from our own files by our own build, which lets no HTML through.
    text = Markup((GUIDE / i18n.language() / f"{name}.html").read_text())  # noqa: S704
    return render_template("guide.html", chapters=list(chapters.values()), chapter=chapters[name], text=text)


@blueprint.get("/help/images/<name>")
def show_picture(name: str) -> Response:
    """A picture."""
    return send_from_directory(GUIDE / "images", name, mimetype="image/png", max_age=3600)


@blueprint.app_template_global()
def help_path() -> str:
    """Where the help for the page of this request is."""
    known = {chapter["name"] for chapter in _index().get(i18n.language(), ())}
    for beginning, name in _CHAPTERS:
        if request.path.startswith(beginning) and name in known:
            return f"/help/{name}"
    return "/help/"


@cache
def _index() -> dict[str, list[dict[str, Any]]]:
    """The chapters by language; none before the guide is built."""
    path = GUIDE / "index.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}
