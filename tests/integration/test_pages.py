"""The dashboard's pages over a real ClickHouse: what they show, keep out, and say when something is wrong."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from markupsafe import escape

from dashboard import assets
from dashboard.accounts import AccountError
from tests import site as sites
from tests.conftest import free_port
from tests.site import Site, post

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


def text_of(page: str) -> str:
    """What a page says, without its tags."""
    bare = re.sub(r"<(svg|head)\b.*?</\1>", " ", page, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", bare)))
    return re.sub(r"(?<=\() | (?=[).,:])", "", text)


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


# The reports


def test_the_dashboard_shows_the_newest_requests_and_the_state_of_the_data(user: FlaskClient) -> None:
    text = text_of(user.get("/").text)
    total = 3000 + 25 + 14 + 8
    assert f"Ver todo el registro ({total:,})".replace(",", ".") in text
    assert "phicustester · hace" in text
    assert "(22/11/2026 09:55:36) PATCH /api/v2/cpes/259/fake_modification/ 200 127.0.0.1" in text
    assert text.count("(22/11/2026 ") == 8
    assert "Datos hasta 22/11/2026 09:55:36" in text
    assert re.search(r"En espera en Kafka 3 eventos Mensajes fallidos 5 ", text)


def test_the_api_report_has_every_column_and_its_controls_twice(user: FlaskClient) -> None:
    page = user.get("/api-requests").text
    text = text_of(page)
    for heading in (
        "Fecha y hora",
        "Usuario",
        "Dirección IP",
        "Tiempo (ms)",
        "Estado",
        "Método",
        "Ruta",
        "Host",
        "Vista",
    ):
        assert re.search(rf"<th[^>]*><a[^>]*>{re.escape(heading)}", page), heading
    assert "22/11/2026 09:55:36 phicustester 127.0.0.1 283 ms 200 PATCH" in text
    assert "webapp.isp.views.CpeViewSet.fake_modification()" in text
    assert text.count("Mostrando del 1 al 100 de 3.047 elementos encontrados en 0,") == 2
    assert page.count('name="per_page" data-submit') == page.count('name="page" data-submit') == 2
    assert page.count('rel="next"') == 2


def test_a_row_opens_to_four_panels(user: FlaskClient) -> None:
    page = user.get(f"/api-requests?open={sites.PATCH_ID}").text
    fragment = user.get(f"/api-requests/{sites.PATCH_ID}?fragment=1").text
    for part in (page, fragment):
        text = text_of(part)
        assert re.search(r'Parámetros { "postalcode": "1505" } Datos', text)
        assert re.search(r"Respuesta – Errores –", text)
        assert "Campos enmascarados wifi_password" in text
    assert "<html" not in fragment
    assert 'aria-expanded="true"' in page


def test_the_admin_report_shows_old_and_new_values(user: FlaskClient) -> None:
    text = text_of(user.get(f"/admin-changes?user=ignacio&open={sites.CHANGE_ID}").text)
    assert "22/11/2026 09:55:36 ignacio Modificación isp | cpe pim0585" in text
    assert '[ { "changed": { "fields": [ "Postal code" ] } } ]' in text
    stars = "*" * 20
    assert (
        "Campo Antes Después postalcode 1504 1505 "
        f"wifi_password {stars} enmascarado {stars} enmascarado active – true" in text
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api-requests?user=phicustester", 1),
        ("/api-requests?user=crm-*&-user=crm-a", None),
        ("/api-requests?view=*CpeViewSet&status_code=>%3D500&q=ProvisioningError", 1),
        ("/api-requests?remote_addr=127.0.0.0/8", 1),
        ("/api-requests?response_ms=283.25", 1),
        ("/api-requests?masked=wifi_password&method=PATCH&from=2026-11-22", 1),
        ("/admin-changes?changed_fields=active", 1),
        ("/admin-changes?action=change&action=addition", 152),
        ("/admin-changes?q=1504", None),
        ("/api-requests?from=2026-11-22T09:55:36&to=2026-11-22T09:55:37", 1),
    ],
)
def test_filters_filter(user: FlaskClient, path: str, expected: int | None) -> None:
    text = text_of(user.get(path).text)
    found = re.search(r"de ([\d.]+) elementos", text)
    assert found, text[:500]
    total = int(found[1].replace(".", ""))
    assert total == expected if expected else 0 < total < 3000


def test_each_active_filter_can_be_removed(user: FlaskClient) -> None:
    page = user.get("/api-requests?user=crm-a&user=crm-b&-method=GET&q=pim").text
    chips = re.findall(r'<a class="chip" href="([^"]+)"', page)
    assert [html.unescape(chip) for chip in chips] == [
        "/api-requests?user=crm-b&-method=GET&q=pim",
        "/api-requests?user=crm-a&-method=GET&q=pim",
        "/api-requests?user=crm-a&user=crm-b&q=pim",
        "/api-requests?user=crm-a&user=crm-b&-method=GET",
    ]
    assert "Método no es GET" in text_of(page)


def test_a_sent_form_becomes_a_url_without_empty_fields_that_means_the_same_to_everybody(user: FlaskClient) -> None:
    answer = user.get("/api-requests?form=1&user=&user=crm-a&user=+crm-a+&host=&q=&from=2026-07-01T10:00&page=3")
    assert answer.location == "/api-requests?user=crm-a&from=2026-07-01T10:00:00%2B02:00"
    winter = user.get("/trends?form=1&by=&interval=day&from=2026-01-01T10:00")
    assert winter.location == "/trends?interval=day&from=2026-01-01T10:00:00%2B01:00"


def test_a_quick_range_becomes_instants(user: FlaskClient) -> None:
    answer = user.get("/admin-changes?user=ignacio&from=2020-01-01&page=2&range=yesterday")
    assert re.fullmatch(
        r"/admin-changes\?user=ignacio&from=[-\d]+T00:00:00%2B0[12]:00&to=[-\d]+T00:00:00%2B0[12]:00", answer.location
    )
    assert "range" not in user.get("/trends?range=30d").location


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api-requests?status_code=abc", "«abc» no se puede usar aquí: se espera un número entero o una comparación"),
        ("/api-requests?remote_addr=300.1.1.1", "«300.1.1.1» no se puede usar aquí: se espera una dirección IPv4"),
        ("/api-requests?from=yesterday", "«yesterday» no se puede usar aquí"),
        ("/api-requests?foo=1", "foo: «1» no se puede usar aquí: se espera un parámetro de este reporte."),
        ("/api-requests?user=a%00b", "no se puede usar aquí: se espera un texto sin NUL"),
        ("/api-requests?user=%FF", "no se puede usar aquí: se espera un texto sin NUL, en UTF-8 válido"),
        ("/admin-changes?action=explode", "«explode» no se puede usar aquí"),
        ("/trends?interval=week", "«week» no se puede usar aquí: se espera minute, hour o day."),
        ("/trends?interval=minute&from=2020-01-01", "como mucho 10.000 intervalos"),
    ],
)
def test_what_cannot_be_understood_is_said_where_it_was_typed(user: FlaskClient, path: str, said: str) -> None:
    answer = user.get(path)
    assert answer.status_code == 400
    assert said in text_of(answer.text)
    name, _, value = urlsplit(path).query.partition("=")
    if name in ("status_code", "remote_addr", "from") and "trends" not in path:
        assert re.search(rf'<input[^<]*value="{value}"[^<]*aria-invalid="true"', answer.text)


def test_an_empty_result_says_how_to_widen_it(user: FlaskClient) -> None:
    page = user.get("/api-requests?user=phicus&from=2026-01-01").text
    assert "Nada coincide con estos filtros" in page
    assert escape("/api-requests?from=2026-01-01&user=*phicus*") in page
    assert user.get("/api-requests?from=2026-01-01&user=*phicus*").text.count("c-time") > 1


def test_without_events_the_pages_say_so(fresh: Site) -> None:
    user = fresh.user()
    for path in ("/", "/api-requests", "/admin-changes"):
        assert "Todavía no hay eventos" in user.get(path).text
    assert "No hay peticiones en este intervalo" in user.get("/trends").text
    assert "No hay mensajes fallidos" in user.get("/dead-letters").text
    assert "El proceso de carga lleva un rato sin decir nada" in user.get("/").text


def test_pages_turn_and_a_page_behind_the_last_leads_to_the_last(user: FlaskClient) -> None:
    last = user.get("/admin-changes?per_page=25&page=9")
    assert "Mostrando del 201 al 202 de 202 elementos" in text_of(last.text)
    assert user.get("/admin-changes?per_page=25&page=10").location == "/admin-changes?per_page=25&page=9"


def test_headings_sort(user: FlaskClient) -> None:
    page = user.get("/api-requests?user=crm-a&page=2").text
    assert f'href="{escape("/api-requests?user=crm-a&sort=-response_ms")}"' in page
    page = user.get("/api-requests?sort=-response_ms").text
    assert 'aria-sort="descending"><a href="/api-requests?sort=response_ms"' in page
    shown = [float(value.replace(".", "").replace(",", ".")) for value in re.findall(r'c-ms"[^>]*>([\d.,]+)<', page)]
    assert len(shown) == 100
    assert shown == sorted(shown, reverse=True)


def test_a_row_has_its_own_page_and_its_payloads_in_full(user: FlaskClient) -> None:
    page = user.get(f"/api-requests/{sites.HUGE_ID}").text
    assert "Los primeros 200.000 de 10.000." in text_of(page)
    assert len(page) < 300_000
    raw = user.get(f"/api-requests/{sites.HUGE_ID}/data.txt")
    assert raw.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "sandbox" in raw.headers["Content-Security-Policy"]
    assert len(raw.text) > 10_000_000
    assert '"the very end"' in raw.text
    assert user.get(f"/api-requests/{sites.HUGE_ID}/user.txt").status_code == 404
    assert user.get("/api-requests/00000000-0000-0000-0000-0000ffffffff").status_code == 404
    assert user.get("/api-requests/not-an-id").status_code == 404


def test_csv_has_the_filtered_rows_in_the_readers_language(user: FlaskClient) -> None:
    page = user.get("/api-requests?user=phicustester").text
    assert 'href="/api-requests.csv?user=phicustester"' in page
    answer = user.get("/api-requests.csv?user=phicustester")
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.text.count("phicustester") == 1
    assert user.get("/api-requests.csv?status_code=abc").location == "/api-requests?status_code=abc"


def test_values_are_suggested_for_the_fields_that_ask_for_it(user: FlaskClient) -> None:
    assert set(user.get("/api-requests/values/user?prefix=crm").json) == {"crm-a", "crm-b", "crm-norte", "CRM_A"}
    assert user.get("/api-requests/values/data?prefix=").status_code == 404
    assert user.get("/api-requests/values/nothing").status_code == 404


def test_trends_draw_and_tell_the_same(user: FlaskClient) -> None:
    page = user.get("/trends?from=2026-11-22&to=2026-11-23&interval=day").text
    text = text_of(page)
    assert "Peticiones 8 Errores 1 Tasa de errores 12,50 %" in text
    assert page.count('<figure class="card">') == 2
    assert re.search(r"22/11/2026 00:00 8 1 12,50 % ", text)
    target = re.search(r'<td><a href="(/api-requests\?[^"]+)"', page)
    assert target
    assert "de 8 elementos" in text_of(user.get(html.unescape(target[1])).text)
    assert page.count("<tr>") == 2
    assert user.get("/trends?from=2026-10-01&by=user&by=method").text.count('<figure class="card">') == 3


# Language, time zone, tokens


def test_language_and_time_zone_are_the_users(fresh: Site) -> None:
    visitor = fresh.visitor()
    assert "Contraseña" in visitor.get("/login").text
    assert post(visitor, "/language", {"language": "en", "next": "/login"}, page="/login").location == "/login"
    assert "Password" in visitor.get("/login").text
    user = fresh.user()
    sites.fill(fresh.client)
    form = {"language": "en", "timezone": "America/New_York", "theme": "dark"}
    assert post(user, "/account/preferences", form).status_code == 302
    page = user.get("/api-requests").text
    assert '<html lang="en" data-theme="dark">' in page
    assert "Showing 1 to 100 items of 3,047 elements found in 0." in text_of(page)
    assert "2026-11-22 03:55:36 phicustester" in text_of(page)
    assert post(user, "/account/preferences", form | {"timezone": "Mars/Base"}).status_code == 400
    assert "2026-11-22 17:55:36" in text_of(user.get("/api-requests?tz=Asia/Tokyo").text)


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


# When ClickHouse is away


def test_pages_say_that_clickhouse_is_away(tmp_path_factory: pytest.TempPathFactory) -> None:
    from dashboard import create_app
    from schemas.settings import Settings

    settings = Settings(data=tmp_path_factory.mktemp("away"), clickhouse_port=free_port())
    app = create_app(settings)
    app.extensions["krill_logger"].accounts.create_user(sites.USER, sites.PASSWORD)
    user = Site(app, None, settings).user()
    for path in ("/", "/api-requests", "/admin-changes", "/trends", "/dead-letters", f"/api-requests/{sites.PATCH_ID}"):
        answer = user.get(path)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert "No se puede llegar a ClickHouse en este momento." in text_of(answer.text)
        assert "Traceback" not in answer.text
    assert user.get("/account").status_code == 200
