"""The dashboard's data side as an app of its own, without pages."""

from __future__ import annotations

from flask import Flask, Response, request

from dashboard import api, export, health, i18n, security
from dashboard.accounts import Accounts
from dashboard.columns import REPORTS, Report
from dashboard.filters import decode, parse
from dashboard.formats import FORMATS, Format
from dashboard.progress import Progress
from dashboard.saved import SavedViews
from dashboard.state import EXTENSION, State
from dashboard.store import Store
from schemas.settings import Settings


def make(settings: Settings | None = None) -> Flask:
    """An app with the JSON API, health, metrics, and the files of each report in the language `?lang=`."""
    settings = settings or Settings.from_environ()
    settings.data.mkdir(parents=True, exist_ok=True)
    app = Flask("reports", static_folder=None)
    accounts = Accounts(settings.data / "dashboard.sqlite3")
    app.extensions[EXTENSION] = State(settings, Store(settings), accounts, SavedViews(accounts))
    security.init_app(app, settings)
    i18n.init_app(app)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(health.blueprint)

    def show(report: Report, format: Format) -> Response:
        args = decode(request.query_string)
        language, manifest = (args.poplist(name) for name in ("lang", "manifest"))
        query = parse(args, report, i18n.zone())
        progress = Progress(export.total(query, format))
        return export.response(query, format, (language or ["en"])[0], "ana", progress, manifest=bool(manifest))

    for report in REPORTS:
        for suffix, format in FORMATS.items():
            defaults = {"report": report, "format": format}
            app.add_url_rule(f"/{report.name}.{suffix}", f"{report.table}_{suffix}", show, defaults=defaults)
    return app
