"""The dashboard's data side as an app of its own, without pages."""

from __future__ import annotations

from flask import Flask, Response, request

from dashboard import api, export, health, i18n, security
from dashboard.accounts import Accounts
from dashboard.columns import REPORTS, Report
from dashboard.filters import decode, parse
from dashboard.state import EXTENSION, State
from dashboard.store import Store
from schemas.settings import Settings


def make(settings: Settings | None = None) -> Flask:
    """An app with the JSON API, health, metrics, and the CSV of each report in the language `?lang=`."""
    settings = settings or Settings.from_environ()
    settings.data.mkdir(parents=True, exist_ok=True)
    app = Flask("reports", static_folder=None)
    app.extensions[EXTENSION] = State(settings, Store(settings), Accounts(settings.data / "dashboard.sqlite3"))
    security.init_app(app, settings)
    i18n.init_app(app)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(health.blueprint)

    def show_csv(report: Report) -> Response:
        args = decode(request.query_string)
        language = args.poplist("lang") or ["en"]
        query = parse(args, report, i18n.zone())
        return export.csv_response(query, language[0], query.zone)

    for report in REPORTS:
        app.add_url_rule(f"/{report.name}.csv", report.table, show_csv, defaults={"report": report})
    return app
