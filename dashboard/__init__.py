"""The dashboard: a Flask app over the tables."""

from __future__ import annotations

from flask import Flask

from schemas.settings import Settings

__all__ = ["create_app"]


def create_app(settings: Settings) -> Flask:
    """The WSGI app. Needs no running ClickHouse to start.

    Raises:
        AssetsMissing: the browser assets are not built.
        AccountError: the file of the accounts cannot be used.
    """
    # Imported here, so that the data side can be used without the web framework's extensions.
    from flask_compress import Compress

    from dashboard import api, assets, changed, health, i18n, security, sentences, tracebacks, values, views
    from dashboard.accounts import Accounts
    from dashboard.saved import SavedViews
    from dashboard.state import EXTENSION, State
    from dashboard.store import Store

    app = Flask(__name__, static_folder=None)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    accounts = Accounts(settings.data / "dashboard.sqlite3")
    app.extensions[EXTENSION] = State(settings, Store(settings, security.asker), accounts, SavedViews(accounts))
    # What is streamed goes out as it is made: a compressor would keep live rows back, and slow exports down. The sizes
    # of pages tell nothing of the tokens in them, which are signed anew each second.
    app.config.update(COMPRESS_STREAMS=False)
    Compress(app)
    assets.init_app(app)
    security.init_app(app, settings)
    i18n.init_app(app)
    values.init_app(app)
    changed.init_app(app)
    tracebacks.init_app(app)
    sentences.init_app(app)
    views.init_app(app)
    security.limit_logins(app, "auth.login", "account.change_password")
    app.register_blueprint(api.blueprint)
    app.register_blueprint(health.blueprint)
    return app
