"""The user's own page: language, time zone, password and API tokens."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user, login_user

from dashboard import i18n
from dashboard.accounts import CHOICES, AccountError, Token
from dashboard.security import SessionUser
from dashboard.state import state

blueprint = Blueprint("account", __name__)


@blueprint.get("/account")
def show() -> str:
    """Everything that can be set, and the tokens that the user made."""
    return _page()


@blueprint.post("/account/preferences")
def save_preferences() -> ResponseReturnValue:
    """Keep language, time zone, theme, density and style of times."""
    chosen = {name: request.form[name] for name in (*CHOICES, "timezone") if name in request.form}
    known = {**CHOICES, "timezone": {*i18n.zone_names(), i18n.zone().key}}
    if any(value not in known[name] for name, value in chosen.items()):
        return _page(preferences_error=gettext("Choose from the lists.")), 400
    state().accounts.set_preferences(current_user.name, **chosen)
    i18n.forget()
    flash(gettext("Your preferences are saved."))
    return redirect("/account")


@blueprint.post("/account/password")
def change_password() -> ResponseReturnValue:
    """Set a new password. Other sessions of the user end; this one goes on."""
    accounts, name = state().accounts, current_user.name
    new = request.form.get("new", "")
    if accounts.check_password(name, request.form.get("current", "")) is None:
        # 401, so that guessing here counts against the log-in limit.
        return _page(password_errors={"current": gettext("This is not your current password.")}), 401
    if new != request.form.get("again", ""):
        return _page(password_errors={"again": gettext("The two new passwords differ.")}), 400
    try:
        accounts.set_password(name, new)
    except AccountError as error:
        return _page(password_errors={"new": gettext(error.message, **error.params)}), 400
    user = accounts.user(name)
    if user is not None:
        login_user(SessionUser(user))
    flash(gettext("Your password is changed; your other sessions have ended."))
    return redirect("/account")


@blueprint.post("/account/tokens")
def create_token() -> ResponseReturnValue:
    """Make a token and show it, this once."""
    name = request.form.get("name", "").strip()
    try:
        token = state().accounts.create_token(name, owner=current_user.name)
    except AccountError as error:
        return _page(token_error=gettext(error.message, **error.params), token_name=name), 400
    return _page(fresh_token=token, token_name="")


@blueprint.post("/account/tokens/revoke")
def revoke_token() -> ResponseReturnValue:
    """Make one of the user's tokens stop working."""
    name = request.form.get("name", "")
    if any(token.name == name for token in _own_tokens()):
        state().accounts.revoke_token(name)
        flash(gettext("The token “%(name)s” is revoked.", name=name))
    return redirect("/account")


def _own_tokens() -> list[Token]:
    return [token for token in state().accounts.tokens() if token.owner == current_user.name]


def _page(**more: object) -> str:
    shown = {"password_errors": {}, "token_name": "", **more}
    return render_template(
        "account.html",
        tokens=_own_tokens(),
        zone_names=sorted({*i18n.zone_names(), i18n.zone().key}),
        zone=i18n.zone().key,
        **shown,
    )
