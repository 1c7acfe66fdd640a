"""The dashboard's pages over a real ClickHouse: what they show, keep out, and say when something is wrong."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from markupsafe import escape

from tests import site as sites
from tests.conftest import free_port
from tests.site import Site, post, text_of


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
        assert "Parámetros postalcode 1505 Como texto Datos" in re.sub(r" Sin 1505 ", " ", text)
        assert re.search(r"Respuesta – Errores –", text)
        assert "Campos enmascarados wifi_password" in text
    assert "<html" not in fragment
    assert 'aria-expanded="true"' in page


def test_the_admin_report_shows_old_and_new_values(user: FlaskClient) -> None:
    text = text_of(user.get(f"/admin-changes?user=ignacio&open={sites.CHANGE_ID}").text)
    assert "22/11/2026 09:55:36 ignacio Modificación isp | cpe pim0585" in text
    assert "0 objeto · 1 changed objeto · 1 fields lista · 1 0 Postal code" in text
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


def test_a_quick_range_moves_with_the_clock_until_it_is_fixed(user: FlaskClient) -> None:
    answer = user.get("/admin-changes?user=ignacio&from=2020-01-01&page=2&range=yesterday")
    assert answer.location == "/admin-changes?user=ignacio&from=now-1d/d&to=now/d"
    page = user.get(answer.location).text
    fixed = re.search(r'<a href="([^"]+)"[^>]*>Como fechas fijas<', page)
    assert fixed
    assert re.fullmatch(
        r"/admin-changes\?user=ignacio&from=[-\d]+T00:00:00%2B0[12]:00&to=[-\d]+T00:00:00%2B0[12]:00",
        html.unescape(fixed[1]),
    )
    assert "Como fechas fijas" not in user.get(html.unescape(fixed[1])).text
    assert "range" not in user.get("/trends?range=30d").location


@pytest.mark.parametrize(
    ("typed", "location"),
    [
        ("from=ayer", "from=now-1d/d"),
        ("from=%C3%BAltimos+15+min&to=", "from=now-15m"),
        ("from=15/11/2026+10:30&to=16/11/2026", "from=2026-11-15T10:30:00%2B01:00&to=2026-11-16T00:00:00%2B01:00"),
        ("from=gestern", "from=gestern"),
    ],
)
def test_date_fields_take_words(user: FlaskClient, typed: str, location: str) -> None:
    for path in ("/api-requests", "/trends"):
        assert user.get(f"{path}?form=1&{typed}").location == f"{path}?{location}"


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
    assert "Los 10.000.000 caracteres" in text_of(page)
    assert len(page) < 60_000
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
    assert page.count('<figure class="card">') == 3
    # Of the response time p50 and, with so few requests, no other; and of the error rate.
    assert re.findall(r'<path class="(dot [^"]+)" d="M500[^"]+h0"', page) == ["dot s0", "dot errors"]
    assert re.search(r"22/11/2026 00:00 8 1 12,50 % ", text)
    target = re.search(r'<td><a href="(/api-requests\?[^"]+)"', page)
    assert target
    assert "de 8 elementos" in text_of(user.get(html.unescape(target[1])).text)
    assert page.count("<tr>") == 2
    assert "Un clic en un intervalo" in text
    many = user.get("/trends?from=2026-11-01&to=2026-11-23&interval=hour").text
    assert re.search(r'<rect class="hit"', many)
    assert not re.search(r'<a [^>]*><rect class="hit"', many)
    assert "Hay demasiados intervalos para que cada uno lleve a sus peticiones" in text_of(many)
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
