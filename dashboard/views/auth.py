"""Logging in and out, and the language before that."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, session
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user, login_user, logout_user

from dashboard import i18n
from dashboard.accounts import LANGUAGES, THEMES
from dashboard.security import SessionUser, safe_next
from dashboard.state import state

blueprint = Blueprint("auth", __name__)


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """The log-in form. A wrong name or password answers 401, which counts against the limit."""
    target = safe_next(request.values.get("next"))
    if request.method == "GET":
        if current_user.is_authenticated:
            return redirect(target)
        return render_template("login.html", next=target, name="")
    name = request.form.get("name", "").strip()
    user = state().accounts.check_password(name, request.form.get("password", ""))
    if user is None:
        error = gettext("The name or the password is not right.")
        return render_template("login.html", next=target, name=name, error=error), 401
    language = session.get("language")
    session.clear()
    if language in LANGUAGES and state().accounts.preferences(user.name).language is None:
        session["language"] = language
    session.permanent = True
    login_user(SessionUser(user))
    return redirect(target)


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    """End the session."""
    language = i18n.language()
    logout_user()
    session.clear()
    session["language"] = language
    return redirect("/login")


@blueprint.post("/language")
def choose_language() -> ResponseReturnValue:
    """Keep a language: for the user, or for the session of who has not logged in."""
    language = request.form.get("language", "")
    if language not in LANGUAGES:
        abort(400)
    if current_user.is_authenticated:
        state().accounts.set_preferences(current_user.name, language=language)
    session["language"] = language
    return redirect(safe_next(request.form.get("next")))


@blueprint.post("/theme")
def choose_theme() -> ResponseReturnValue:
    """Keep a theme for the user."""
    theme = request.form.get("theme", "")
    if theme not in THEMES or not current_user.is_authenticated:
        abort(400)
    state().accounts.set_preferences(current_user.name, theme=theme)
    return redirect(safe_next(request.form.get("next")))
