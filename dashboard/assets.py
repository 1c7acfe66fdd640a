"""The built browser assets: their hashed names, and serving them to be kept for a year."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from flask import Flask, Response, abort, current_app, request, send_from_directory, url_for
from markupsafe import Markup

STATIC = Path(__file__).parent / "static"
_EXTENSION = "krill_logger_assets"
_YEAR = 365 * 24 * 3600


class AssetsMissing(RuntimeError):
    """The browser assets were not built."""


def init_app(app: Flask) -> None:
    """Serve `/static/` and give the templates `asset(name)` and `sprite()`.

    Raises:
        AssetsMissing: there is no build in `dashboard/static`.
    """
    try:
        names = json.loads((STATIC / "manifest.json").read_text())
        sprite = (STATIC / names["icons.svg"]).read_text()
    except (OSError, ValueError, KeyError) as error:
        raise AssetsMissing(
            "The dashboard's browser assets are not built: run `npm ci && npm run build` in the project's folder."
        ) from error
    app.extensions[_EXTENSION] = names
    app.add_url_rule("/static/<name>", "static", _serve)
    app.jinja_env.globals["asset"] = _asset
    # Made by our own build from the icon package; nothing in it comes from a user.
    app.jinja_env.globals["sprite"] = Markup(sprite)  # noqa: S704


def _asset(name: str) -> str:
    names = cast(dict[str, str], current_app.extensions[_EXTENSION])
    return url_for("static", name=names[name])


def _serve(name: str) -> Response:
    if name not in current_app.extensions[_EXTENSION].values():
        abort(404)
    packed = request.accept_encodings.quality("gzip") > 0 and (STATIC / f"{name}.gz").is_file()
    if packed:
        mimetypes = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
        response = send_from_directory(STATIC, f"{name}.gz", mimetype=mimetypes[Path(name).suffix], max_age=_YEAR)
        response.headers["Content-Encoding"] = "gzip"
    else:
        response = send_from_directory(STATIC, name, max_age=_YEAR)
    response.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable"
    response.vary.add("Accept-Encoding")
    return response
