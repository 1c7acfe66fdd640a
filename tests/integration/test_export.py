"""CSV: all of it, in order, in the reader's language, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import datetime as dt
import http.client
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import clickhouse_connect
import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from dashboard.columns import ADMIN_CHANGES, API_REQUESTS
from dashboard.filters import decode, exact, parse
from dashboard.formats import csv as csv_format
from dashboard.state import EXTENSION
from dashboard.store import StoreUnavailable
from schemas.migrations import apply
from schemas.settings import Settings
from tests.conftest import Server, free_port
from tests.integration import report_app, report_data

ROWS = report_data.api_requests()
MADRID = ZoneInfo("Europe/Madrid")
Table = list[dict[str, str]]

csv.field_size_limit(2**27)


@pytest.fixture(scope="module")
def krill(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A client of an app whose tables hold `report_data`."""
    with report_data.filled_database(clickhouse) as name:
        data = tmp_path_factory.mktemp("csv")
        app = report_app.make(Settings(data=data, clickhouse_url=clickhouse, clickhouse_database=name))
        yield app.test_client()


def table(text: str, separator: str = ",") -> Table:
    """The CSV's rows, by the column's name without its zone."""
    assert text.startswith("\ufeff")
    header, *rows = csv.reader(io.StringIO(text[1:], newline=""), delimiter=separator, strict=True)
    names = [name.partition(" ")[0] for name in header]
    assert all(len(row) == len(names) for row in rows)
    return [dict(zip(names, row, strict=True)) for row in rows]


def stored(krill: FlaskClient, text: str) -> list[dict[str, object]]:
    query = parse(decode(text.encode()), API_REQUESTS, MADRID)
    return [item for block in krill.application.extensions[EXTENSION].store.stream(query) for item in block]


@pytest.mark.parametrize(
    "text", ["", "user=crm-a&status_code=%3E%3D400", "sort=response_ms&from=2026-10-25", "q=pim0017", "user=nobody"]
)
def test_it_is_exactly_the_filtered_result(krill: FlaskClient, text: str) -> None:
    response = krill.get(f"/api-requests.csv?{text}")
    assert response.status_code == 200
    assert response.content_type == "text/csv; charset=utf-8"
    rows = table(response.text)
    query = parse(decode(text.encode()), API_REQUESTS, MADRID)
    page = krill.application.extensions[EXTENSION].store.page(replace(query, per_page=1000), large=False)
    assert len(rows) == page.total
    assert [row["event_id"] for row in rows[:1000]] == [item["event_id"] for item in page.items]
    assert page.total > 0 or text == "user=nobody"


def test_every_column_and_value(krill: FlaskClient) -> None:
    text = krill.get("/api-requests.csv?user=crm-a").text
    assert list(table(text)[0]) == [column.name for column in API_REQUESTS.columns]
    for row, item in zip(table(text), stored(krill, "user=crm-a"), strict=True):
        assert row["data"] == item["data"]
        assert row["response"] == item["response"]
        assert row["status_code"] == str(item["status_code"])
        assert float(row["response_ms"]) == item["response_ms"]
        assert row["remote_addr"] == item["remote_addr"]
        assert row["masked"] == ", ".join(item["masked"])  # type: ignore[arg-type]
        moment = item["requested_at"]
        assert isinstance(moment, dt.datetime)
        assert row["requested_at"] == moment.astimezone(MADRID).strftime("%Y-%m-%d %H:%M:%S")


def test_admin_changes(krill: FlaskClient) -> None:
    rows = table(krill.get("/admin-changes.csv?action=change").text)
    assert len(rows) == 100
    assert list(rows[0]) == [column.name for column in ADMIN_CHANGES.columns]
    assert rows[0]["changed_fields"] == "postalcode, wifi_password"
    assert rows[0]["changes"] == '[{"field": "postalcode", "old": "15004", "new": "15005"}]'.replace('"', '"')


def test_for_a_spanish_spreadsheet(krill: FlaskClient) -> None:
    response = krill.get("/api-requests.csv?lang=es&user=crm-a")
    assert response.data.startswith(b"\xef\xbb\xbf")
    assert response.data.count(b"\r\n") == len(table(response.text, ";")) + 1
    for row, item in zip(table(response.text, ";"), stored(krill, "user=crm-a"), strict=True):
        assert re.fullmatch(r"[0-9]+,[0-9]+", row["response_ms"])
        assert float(row["response_ms"].replace(",", ".")) == item["response_ms"]


def test_the_zone_is_told_and_used(krill: FlaskClient) -> None:
    for zone, first in (("UTC", "2026-10-25 00:00:00"), ("America/Bogota", "2026-10-24 19:00:00")):
        text = krill.get(f"/api-requests.csv?tz={zone}&from=2026-10-25T00:00Z&sort=requested_at").text
        assert f'"requested_at ({zone})"' in text.partition("\r\n")[0]
        assert table(text)[0]["requested_at"] == first


def test_the_name_says_what_is_in_it(krill: FlaskClient) -> None:
    response = krill.get("/api-requests.csv?from=2026-10-24&to=2026-10-25&user=nobody")
    assert response.headers["Content-Disposition"] == (
        'attachment; filename="krill-logger_api-requests_from-2026-10-24_to-2026-10-25.csv"'
    )


@pytest.mark.parametrize("value", report_data.HOSTILE)
@pytest.mark.parametrize(("language", "separator"), [("es", ";"), ("en", ",")])
def test_hostile_cells(krill: FlaskClient, value: str, language: str, separator: str) -> None:
    asked = f"path={quote(exact(value))}" if len(value) < 2000 else "path=xxxx*"
    text = krill.get(f"/api-requests.csv?lang={language}&{asked}").text
    [row] = table(text, separator)
    for name in ("user", "path", "errors", "masked", "data"):
        cell = row[name]
        assert harmless(cell), cell
        if name == "data":
            continue
        assert cell.removeprefix("'") == spelled(value) or cell == spelled(value)


def harmless(cell: str) -> bool:
    """Whether a spreadsheet takes it for text, even one that drops what is invisible at its beginning."""
    bare = cell.lstrip(' \t\r\n"\ufeff\u200b')
    return not bare.startswith(tuple("=+-@＝＋－＠")) and not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\ufeff]", cell)


def spelled(value: str) -> str:
    return re.sub("[\x00-\x08\x0b-\x1f\x7f\u202e\ufeff]", lambda found: f"⟨U+{ord(found.group()):04X}⟩", value)


@given(st.text(alphabet=st.sampled_from("=+-@＝\t\r\n\"' ;,\ufeff\x00\u200ba1") | st.characters(), max_size=12))
def test_no_text_starts_a_formula(text: str) -> None:
    cell = csv_format._quoted(text)
    for separator in ",;\t":
        [[parsed]] = csv.reader(io.StringIO(cell, newline=""), delimiter=separator, strict=True)
        assert harmless(parsed)


@pytest.mark.parametrize(
    ("number", "text"), [(0.0, "0.0"), (12.5, "12.5"), (-3.25, "-3.25"), (1e-7, "0.0000001"), (1e20, "1" + "0" * 20)]
)
def test_numbers_stay_numbers(number: float, text: str) -> None:
    write = csv_format._writer(API_REQUESTS.by_name["response_ms"], ".", MADRID)
    assert float(write(number)) == number
    assert write(number).removesuffix(".0") == text.removesuffix(".0")


def test_an_error_before_the_first_row_is_no_file(tmp_path: Path) -> None:
    app = report_app.make(Settings(data=tmp_path, clickhouse_url=f"http://127.0.0.1:{free_port()}"))
    app.testing = True
    with pytest.raises(StoreUnavailable):
        app.test_client().get("/api-requests.csv")


def test_an_error_in_the_middle_does_not_look_like_the_end(clickhouse_server: Server, tmp_path: Path) -> None:
    clickhouse_server.start()
    settings = clickhouse_server.settings
    client = clickhouse_connect.get_client(dsn=settings.clickhouse, autogenerate_session_id=False)
    apply(client, settings.clickhouse_database)
    client.command(
        "INSERT INTO api_requests (event_id, requested_at, data, kafka_offset) SELECT generateUUIDv4(number), "
        "now64(3), repeat('x', 2000), number FROM numbers(60000)"
    )
    client.close()
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KRILL_LOGGER_")}
    environment |= {"KRILL_LOGGER_DATA": str(tmp_path), "KRILL_LOGGER_CLICKHOUSE_URL": settings.clickhouse}
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--bind", f"127.0.0.1:{port}"]
    command += ["--no-control-socket", "tests.integration.report_app:make()"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        with download(port) as response:
            assert b"event_id" in response.read(10_000)
            clickhouse_server.kill()
            with pytest.raises(http.client.IncompleteRead):
                response.read()
        clickhouse_server.start()
        with download(port) as response:
            assert response.read().count(b"\r\n") == 60_001
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


@contextmanager
def download(port: int) -> Iterator[http.client.HTTPResponse]:
    """The answer to a request for the CSV, as soon as the server listens."""
    deadline = time.monotonic() + 20
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with closing(connection):
            try:
                connection.request("GET", "/api-requests.csv")
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
                continue
            with closing(connection.getresponse()) as response:
                assert response.status == 200
                yield response
                return
