"""The pages, one module per group."""

from __future__ import annotations

from flask import Flask, current_app, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from dashboard.views import (
    account,
    auth,
    dead_letters,
    errors,
    events,
    exports,
    guide,
    home,
    integrations,
    live,
    looks,
    objects,
    payloads,
    reports,
    saved,
    search,
    slowest,
    summaries,
    trends,
)

_FOR_USERS = (
    home,
    reports,
    looks,
    saved,
    search,
    exports,
    summaries,
    events,
    payloads,
    live,
    objects,
    trends,
    slowest,
    integrations,
    dead_letters,
    guide,
    account,
)
_NAMES = frozenset(module.blueprint.name for module in _FOR_USERS)


def init_app(app: Flask) -> None:
    """Register every page; all but log-in and language need a user."""
    app.before_request(_require_login)
    for module in (*_FOR_USERS, auth):
        app.register_blueprint(module.blueprint)
    errors.init_app(app)


def _require_login() -> ResponseReturnValue | None:
    if request.blueprint not in _NAMES or current_user.is_authenticated:
        return None
    answer: ResponseReturnValue = current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
    return answer
