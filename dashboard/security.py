"""What keeps the dashboard safe on the web: headers, sessions, CSRF tokens, and a limit on log-ins."""

from __future__ import annotations

import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, has_request_context, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager, UserMixin, current_user
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from dashboard.accounts import User
from dashboard.state import state
from schemas.settings import Settings

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
SESSION_LIFETIME = timedelta(days=7)
# Failed log-ins that are let through.
LIMIT_PER_NAME = "5 per 5 minutes"
LIMIT_PER_ADDRESS = "30 per 5 minutes"
_LIMITER = "krill_logger_limiter"


class SessionUser(UserMixin):  # type: ignore[misc]
    """The logged-in user of a request. The session holds the stamp too, so that a new password ends it."""

    def __init__(self, user: User) -> None:
        self.name = user.name
        self.stamp = user.stamp

    def get_id(self) -> str:
        return f"{self.stamp}:{self.name}"


def init_app(app: Flask, settings: Settings) -> None:
    """Configure sessions, CSRF, the log-in limit and the security headers."""
    app.config.update(
        SECRET_KEY=settings.secret_key or secret_key(settings.data / "dashboard.key"),
        SESSION_COOKIE_NAME="krill_logger_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        PERMANENT_SESSION_LIFETIME=SESSION_LIFETIME,
        WTF_CSRF_TIME_LIMIT=None,
        MAX_CONTENT_LENGTH=64 * 1024,
    )
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.trusted_proxies, x_proto=settings.trusted_proxies, x_host=0
        )
    CSRFProtect(app)
    login = LoginManager(app)
    login.login_view = "auth.login"
    login.login_message = None
    login.user_loader(_load_user)
    app.after_request(_add_headers)


def limit_logins(app: Flask, *endpoints: str) -> None:
    """Limit wrong passwords (answers with status 401) per address and per name; more raise `RateLimitExceeded`."""
    limiter = Limiter(get_remote_address, app=app, storage_uri="memory://")
    for endpoint in endpoints:
        view: Any = app.view_functions[endpoint]
        for limit, key in ((LIMIT_PER_NAME, _typed_name), (LIMIT_PER_ADDRESS, get_remote_address)):
            view = limiter.limit(
                limit, key_func=key, methods=["POST"], deduct_when=lambda response: response.status_code == 401
            )(view)
        app.view_functions[endpoint] = view
    app.extensions[_LIMITER] = limiter


def reset_at() -> float:
    """When the limit that the request ran into lets more through, in seconds since the epoch."""
    limit = current_app.extensions[_LIMITER].current_limit
    return float(limit.reset_at) if limit else 0.0


def secret_key(path: Path) -> bytes:
    """The key in the file, which is made with mode 0600 if it does not exist. Safe if two processes start at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_bytes()


def safe_next(target: str | None) -> str:
    """Where to go after a form: `target` if it is a path of this site, else the start page."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    if any(ord(character) < 0x20 for character in target):
        return "/"
    parts = urlsplit(target)
    return "/" if parts.scheme or parts.netloc else target


def asker() -> str:
    """Whose queries this thread's are: a user's or a token's; nobody's (empty) outside a request or a login."""
    if not has_request_context():
        return ""
    if token := g.get("token"):
        return f"token {token}"
    return f"user {current_user.name}" if current_user and current_user.is_authenticated else ""


def _load_user(identity: str) -> SessionUser | None:
    stamp, _, name = identity.partition(":")
    user = state().accounts.user(name)
    if user is None or not secrets.compare_digest(user.stamp, stamp):
        return None
    return SessionUser(user)


def _typed_name() -> str:
    name = current_user.name if current_user.is_authenticated else request.form.get("name", "")
    return str(name)[:100].strip().lower()


def _add_headers(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
    headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response
