"""Who may come in to the dashboard, what protects the browser, and tokens."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient

from dashboard import assets
from dashboard.accounts import AccountError
from tests import site as sites
from tests.site import Site, post, text_of

PAGES = (
    "/",
    "/api-requests?per_page=500",
    f"/api-requests?open={sites.PATCH_ID}&open={sites.HUGE_ID}",
    f"/api-requests/{sites.PATCH_ID}",
    f"/api-requests/{sites.HUGE_ID}",
    f"/api-requests/{sites.NESTED_ID}",
    "/admin-changes",
    f"/admin-changes?open={sites.HOSTILE_CHANGE_ID}",
    f"/admin-changes/{sites.HOSTILE_CHANGE_ID}",
    "/trends?from=2026-10-01&interval=day&by=user",
    "/dead-letters",
    "/account",
)


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture
def fresh(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site without events, for tests that change users or run into limits."""
    with sites.site(clickhouse, tmp_path_factory.mktemp("fresh"), filled=False) as made:
        yield made


@pytest.fixture
def user(site: Site) -> FlaskClient:
    return site.user()


# Who may come in


@pytest.mark.parametrize("path", [*PAGES, "/api-requests.csv", "/api-requests/values/user", "/nothing/here?a=b"])
def test_nothing_is_shown_without_logging_in(site: Site, path: str) -> None:
    answer = site.visitor().get(path)
    if path.startswith("/nothing"):
        assert answer.status_code == 404
        assert "crm" not in answer.text
    else:
        assert answer.status_code == 302
        assert urlsplit(answer.location).path == "/login"
        assert parse_qs(urlsplit(answer.location).query)["next"][0].startswith(path.split("?")[0])


def test_logging_in_leads_to_the_page_that_was_asked_for(site: Site) -> None:
    visitor = site.visitor()
    form = {"name": sites.USER, "password": sites.PASSWORD, "next": "/api-requests?user=crm-a"}
    answer = post(visitor, "/login", form, page="/login")
    assert (answer.status_code, answer.location) == (302, "/api-requests?user=crm-a")
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=Lax" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example", "javascript:1", ""]
)
def test_logging_in_never_leads_elsewhere(site: Site, target: str) -> None:
    form = {"name": sites.USER, "password": sites.PASSWORD, "next": target}
    assert post(site.visitor(), "/login", form, page="/login").location == "/"


def test_every_post_needs_its_token(site: Site, user: FlaskClient) -> None:
    rules = [rule for rule in site.app.url_map.iter_rules() if "POST" in (rule.methods or ())]
    assert len(rules) >= 8
    for rule in rules:
        answer = user.post(rule.rule, data={"csrf_token": "forged"})
        assert answer.status_code == 400, rule.rule
        assert "formulario" in answer.text


def test_wrong_passwords_are_limited_per_name_with_the_time_to_wait(fresh: Site) -> None:
    visitor = fresh.visitor()
    statuses = [post(visitor, "/login", {"name": "Ana ", "password": "x"}, page="/login").status_code for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    answer = post(visitor, "/login", {"name": sites.USER, "password": sites.PASSWORD}, page="/login")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 301
    assert "Demasiados intentos fallidos. Inténtalo de nuevo dentro de 5 minutos." in text_of(answer.text)
    other = post(visitor, "/login", {"name": "bea", "password": "x"}, page="/login")
    assert other.status_code == 401


def test_the_limit_per_address_believes_only_trusted_proxies(
    clickhouse: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.security.LIMIT_PER_ADDRESS", "2 per hour")

    def attempts(made: Site) -> list[int]:
        visitor = made.visitor()
        return [
            post(
                visitor,
                "/login",
                {"name": f"n{number}", "password": "x"},
                page="/login",
                headers={"X-Forwarded-For": f"203.0.113.{number}"},
            ).status_code
            for number in range(4)
        ]

    with sites.site(clickhouse, tmp_path_factory.mktemp("a"), filled=False) as direct:
        assert attempts(direct) == [401, 401, 429, 429]
    with sites.site(clickhouse, tmp_path_factory.mktemp("b"), filled=False, trusted_proxies=1) as behind:
        assert attempts(behind) == [401] * 4


def test_a_new_password_ends_the_other_sessions(fresh: Site) -> None:
    here, there = fresh.user(), fresh.user()
    wrong = post(here, "/account/password", {"current": "no", "new": "another one", "again": "another one"})
    assert wrong.status_code == 401
    assert "no es tu contraseña actual" in wrong.text
    weak = post(here, "/account/password", {"current": sites.PASSWORD, "new": "short", "again": "short"})
    assert weak.status_code == 400
    assert "Una contraseña tiene de 8 a 1024 caracteres." in weak.text
    form = {"current": sites.PASSWORD, "new": "another one", "again": "another one"}
    assert post(here, "/account/password", form).status_code == 302
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 302


def test_a_revoked_user_and_a_logged_out_one_are_out(fresh: Site) -> None:
    first, second = fresh.user(), fresh.user()
    assert post(first, "/logout", {}).location == "/login"
    assert first.get("/").status_code == 302
    assert second.get("/logout").status_code == 405
    fresh.app.extensions["krill_logger"].accounts.revoke_user(sites.USER)
    assert second.get("/").status_code == 302


def test_cookies_are_secure_behind_https(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with sites.site(clickhouse, tmp_path_factory.mktemp("s"), filled=False, secure_cookies=True) as made:
        answer = made.app.test_client().get("/login", base_url="https://localhost")
        assert "Secure" in answer.headers["Set-Cookie"]
        assert "max-age" in answer.headers["Strict-Transport-Security"]


# What protects the browser


@pytest.mark.parametrize("path", ["/login", "/", "/nothing", "/api-requests?foo=1", "/api-requests/values/user"])
def test_every_answer_has_the_security_headers(user: FlaskClient, path: str) -> None:
    headers = user.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in headers


@pytest.mark.parametrize("path", PAGES)
def test_pages_hold_nothing_inline_and_no_hostile_markup(user: FlaskClient, path: str) -> None:
    answer = user.get(path)
    assert answer.status_code == 200
    assert not re.search(r"<script(?! src=)|<style| style=| on[a-z]+=['\"]?[a-z.]*hack|href=\"(?!/|\?|#)", answer.text)
    for hostile in (sites.SCRIPT, sites.ATTRIBUTE, "\u202e", "\x1b", "\u200b", "\ud800"):
        assert hostile not in answer.text
    assert len(answer.text) < 3_000_000


def test_what_is_made_at_once_is_compressed_and_what_is_streamed_is_not(user: FlaskClient) -> None:
    for path in ("/api-requests?per_page=500", "/api/v1/openapi.json"):
        assert "Content-Encoding" not in user.get(path).headers
        packed = user.get(path, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert len(gzip.decompress(packed.data)) > 3 * len(packed.data)
        assert "Accept-Encoding" in packed.headers["Vary"]
    for path in ("/api-requests.csv", "/api-requests/live"):
        assert "Content-Encoding" not in user.get(path, headers={"Accept-Encoding": "gzip"}).headers


def test_assets_are_kept_for_a_year_and_compressed(site: Site) -> None:
    visitor = site.visitor()
    names = re.findall(r'(?:src|href)="(/static/[^"]+)"', visitor.get("/login").text)
    assert len(names) >= 4
    for name in names:
        answer = visitor.get(name, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers.get("Content-Encoding") == (None if name.endswith("woff2") else "gzip")
        answer.close()
    assert visitor.get("/static/manifest.json").status_code == 404


def test_without_a_build_the_app_says_what_to_do(
    clickhouse: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    monkeypatch.setattr(assets, "STATIC", site.settings.data / "nowhere")
    with pytest.raises(assets.AssetsMissing, match="npm ci && npm run build"):
        assets.init_app(site.app)


def test_the_session_key_is_made_once_and_kept_private(site: Site) -> None:
    key = site.settings.data / "dashboard.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_bytes()) == 32
    assert site.app.config["SECRET_KEY"] == key.read_bytes()


# Tokens and accounts


def test_a_token_is_shown_once_and_can_be_revoked(fresh: Site) -> None:
    user = fresh.user()
    page = post(user, "/account/tokens", {"name": "crm"}).text
    found = re.search(r'class="token"[^>]*>(krl_[^<]+)<', page)
    assert found
    api = fresh.app.test_client()
    bearer = {"Authorization": f"Bearer {found[1]}"}
    assert api.get("/api/v1/api-requests", headers=bearer).status_code == 200
    assert found[1] not in user.get("/account").text
    assert "Ya hay un token llamado crm." in post(user, "/account/tokens", {"name": "crm"}).text
    accounts = fresh.app.extensions["krill_logger"].accounts
    accounts.create_token("of-the-command-line")
    assert "of-the-command-line" not in user.get("/account").text
    post(user, "/account/tokens/revoke", {"name": "of-the-command-line"})
    post(user, "/account/tokens/revoke", {"name": "crm"})
    assert api.get("/api/v1/api-requests", headers=bearer).status_code == 401
    assert [token.name for token in accounts.tokens()] == ["of-the-command-line"]


def test_accounts_that_cannot_be_opened_stop_the_start(tmp_path_factory: pytest.TempPathFactory) -> None:
    from dashboard import create_app
    from schemas.settings import Settings

    folder = tmp_path_factory.mktemp("broken")
    (folder / "dashboard.sqlite3").write_text("not a database " * 100)
    with pytest.raises(AccountError, match="cannot be read or written"):
        create_app(Settings(data=folder))
