"""The built browser assets: their hashed names, and serving them to be kept for a year."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from flask import Flask, Response, abort, current_app, request, url_for
from markupsafe import Markup

STATIC = Path(__file__).parent / "static"
_EXTENSION = "krill_logger_assets"
_YEAR = 365 * 24 * 3600
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


class AssetsMissing(RuntimeError):
    """The browser assets were not built."""


@dataclass(frozen=True, slots=True)
class _Build:
    """The assets by hashed name, as they are and compressed; `names` leads from a source's name to the hashed one."""

    names: dict[str, str]
    plain: dict[str, bytes]
    packed: dict[str, bytes]


def init_app(app: Flask) -> None:
    """Serve `/static/` and give the templates `asset(name)` and `sprite`.

    Raises:
        AssetsMissing: there is no build in `dashboard/static`.
    """
    try:
        names = json.loads((STATIC / "manifest.json").read_text())
        plain = {name: (STATIC / name).read_bytes() for name in names.values()}
        sprite = plain[names["icons.svg"]].decode()
    except (OSError, ValueError, KeyError) as error:
        raise AssetsMissing(
            "The dashboard's browser assets are not built: run `npm ci && npm run build` in the project's folder."
        ) from error
    packed = {name: gzip.compress(content, mtime=0) for name, content in plain.items() if not name.endswith(".woff2")}
    app.extensions[_EXTENSION] = _Build(names, plain, packed)
    app.add_url_rule("/static/<name>", "static", _serve)
    app.jinja_env.globals["asset"] = _asset
    # Made by our own build from the icon package; nothing in it comes from a user.
    app.jinja_env.globals["sprite"] = Markup(sprite)  # noqa: S704


def _build() -> _Build:
    return cast(_Build, current_app.extensions[_EXTENSION])


def _asset(name: str) -> str:
    return url_for("static", name=_build().names[name])


def _serve(name: str) -> Response:
    build = _build()
    if name not in build.plain:
        abort(404)
    packed = build.packed.get(name) if request.accept_encodings.quality("gzip") > 0 else None
    response = Response(packed or build.plain[name], content_type=_TYPES[Path(name).suffix])
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    # The name changes with the content.
    response.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable"
    response.vary.add("Accept-Encoding")
    return response
