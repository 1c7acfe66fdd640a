"""The files of the reports, and how far one is."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, jsonify, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user

from dashboard import export, i18n
from dashboard.address import Address
from dashboard.filters import FilterErrors, decode, parse
from dashboard.formats import FORMATS, Format
from dashboard.layouts import LAYOUTS, Layout
from dashboard.progress import Exports

blueprint = Blueprint("exports", __name__)

_exports = Exports()


def show(layout: Layout, format: Format) -> ResponseReturnValue:
    """All rows that match, as a file; with `manifest`, a ZIP of it and of what it is."""
    report = layout.report
    try:
        args = decode(request.query_string)
        manifest, job = (args.poplist(name) for name in ("manifest", "job"))
        query = parse(args, report, i18n.zone())
    except FilterErrors:
        # The page shows each message beside its field.
        address = Address(f"/{report.name}", tuple(request.args.items(multi=True)))
        return redirect(str(address.dropping("manifest", "job")))
    user = current_user.name
    try:
        total = export.total(query, format)
    except export.TooManyRows as error:
        said: dict[str, Any] = {"rows": i18n.number(error.rows), "most": i18n.number(error.most)}
        abort(413, gettext(export.TOO_MANY, **said))
    progress = _exports.start(user, job[-1] if job else "", total)
    return export.response(query, format, i18n.language(), user, progress, manifest=manifest[-1:] == ["1"])


@blueprint.get("/exports/<job>")
def show_progress(job: str) -> Response:
    """How far an export of the user's is, as JSON."""
    progress = _exports.find(current_user.name, job) or abort(404)
    return jsonify(progress.told())


for _layout in LAYOUTS:
    for _format in FORMATS.values():
        blueprint.add_url_rule(
            f"/{_layout.report.name}.{_format.suffix}",
            f"{_layout.report.table}_{_format.suffix}",
            show,
            defaults={"layout": _layout, "format": _format},
        )
