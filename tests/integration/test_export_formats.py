"""XLSX, JSON Lines and Parquet, read back by other programs and compared with the JSON API; manifests and limits."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
import re
import uuid
import zipfile
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient
from openpyxl.utils.escape import unescape

from dashboard import export
from dashboard.columns import ADMIN_CHANGES, API_REQUESTS, REPORTS, Report
from dashboard.formats import FORMATS, Table, xlsx
from tests import site as sites
from tests.integration import report_data
from tests.site import Site, text_of

MADRID = ZoneInfo("Europe/Madrid")
FILTERS = "user=crm-a&status_code=%3E%3D400&sort=response_ms"
HOSTILE = "from=2026-10-24T12:00&to=2026-10-24T13:30"


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture(scope="module")
def user(site: Site) -> FlaskClient:
    return site.user()


def listed(user: FlaskClient, report: Report, query: str) -> list[dict[str, Any]]:
    """The rows as the JSON API gives them."""
    answer = user.get(f"/api/v1/{report.name}?{query}&per_page=1000").json
    assert 0 < answer["total"] <= 1000
    return list(answer["items"])


def sheet(data: bytes) -> list[list[Any]]:
    """The first sheet's cells; raises if any of them is a formula."""
    book = openpyxl.load_workbook(io.BytesIO(data))
    cells = list(book.worksheets[0].iter_rows())
    assert {cell.data_type for row in cells for cell in row} <= {"inlineStr", "s", "n", "d"}
    return [[cell.value for cell in row] for row in cells]


@pytest.mark.parametrize(
    ("report", "query"), [(API_REQUESTS, FILTERS), (API_REQUESTS, HOSTILE), (ADMIN_CHANGES, "action=change")]
)
def test_json_lines_are_the_items_of_the_api(user: FlaskClient, report: Report, query: str) -> None:
    answer = user.get(f"/{report.name}.jsonl?{query}")
    assert answer.content_type == "application/jsonl"
    items = listed(user, report, query)
    lines = answer.data.splitlines()
    assert len(lines) == len(items)
    for line, item in zip(lines, items, strict=True):
        row = json.loads(line)
        assert list(row) == list(item)
        for column in report.columns:
            if column.kind == "time":
                moment = dt.datetime.fromisoformat(row[column.name])
                assert moment == dt.datetime.fromisoformat(item[column.name])
                assert moment.utcoffset() == moment.astimezone(MADRID).utcoffset()
            else:
                assert row[column.name] == item[column.name] or row[column.name] != row[column.name]


def test_a_payload_on_several_lines_is_one_line(user: FlaskClient, site: Site) -> None:
    row = report_data.api_requests()[0] | {
        "event_id": uuid.UUID(int=2**99),
        "user": "lines",
        "data": '{\n  "a": 1.10,\r\n  "b": "x\\ny"\n}',
    }
    report_data.insert(site.client, "api_requests", [row])
    [line] = user.get("/api-requests.jsonl?user=lines").data.splitlines()
    assert b'"data":{"a":1.10,"b":"x\\ny"}' in line


@pytest.mark.parametrize(
    ("report", "query"), [(API_REQUESTS, FILTERS), (API_REQUESTS, HOSTILE), (ADMIN_CHANGES, "action=change")]
)
def test_parquet_has_the_values_with_their_types(user: FlaskClient, report: Report, query: str) -> None:
    file = pq.ParquetFile(io.BytesIO(user.get(f"/{report.name}.parquet?{query}").data))
    table = file.read()
    assert table.column_names == [column.name for column in report.columns]
    assert str(table.schema.field(report.time_column).type) == "timestamp[ms, tz=Europe/Madrid]"
    items = listed(user, report, query)
    for row, item in zip(table.to_pylist(), items, strict=True):
        for column in report.columns:
            value = row[column.name]
            if column.kind == "time":
                assert value.astimezone(dt.UTC) == dt.datetime.fromisoformat(item[column.name])
            elif column.kind == "json":
                assert (json.loads(value) if value and item[column.name] != value else value or None) == (
                    item[column.name]
                )
            else:
                assert value == item[column.name], column.name
    if report is API_REQUESTS:
        assert str(table.schema.field("status_code").type) == "int64"
        assert str(table.schema.field("response_ms").type) == "double"
        assert str(table.schema.field("masked").type) == "list<element: string>"
    about = json.loads(file.metadata.metadata[b"krill_logger"])
    assert about["rows"] == len(items)


@pytest.mark.parametrize(("report", "query"), [(API_REQUESTS, FILTERS), (ADMIN_CHANGES, "action=change")])
def test_a_workbook_has_the_values_with_their_types(user: FlaskClient, report: Report, query: str) -> None:
    answer = user.get(f"/{report.name}.xlsx?{query}")
    headings, *rows = sheet(answer.data)
    items = listed(user, report, query)
    assert [name.partition(" ")[0] for name in headings] == [column.name for column in report.columns]
    assert f"{report.time_column} (Europe/Madrid)" in headings
    for row, item in zip(rows, items, strict=True):
        for column, value in zip(report.columns, row, strict=True):
            wanted = item[column.name]
            match column.kind:
                case "time":
                    moment = dt.datetime.fromisoformat(wanted).astimezone(MADRID).replace(tzinfo=None)
                    assert abs(value - moment) < dt.timedelta(milliseconds=1)
                case "array":
                    assert (value or "") == ", ".join(wanted)
                case "json":
                    assert (json.loads(value) if value else None) == wanted
                case _:
                    assert (value if value is not None else "") == wanted


def test_hostile_texts_are_texts_in_a_workbook(user: FlaskClient) -> None:
    names = "event_id,user,path,errors,data"
    _headings, *rows = sheet(user.get(f"/api-requests.xlsx?{HOSTILE}&columns={names}").data)
    items = listed(user, API_REQUESTS, f"{HOSTILE}&columns={names}")
    assert len(rows) == len(items) > len(report_data.HOSTILE)
    for row, item in zip(rows, items, strict=True):
        for value, wanted in list(zip(row, item.values(), strict=True))[1:4]:
            bare = re.sub(r"⟨U\+([0-9A-F]{4})⟩", lambda found: chr(int(found[1], 16)), unescape(value or ""))
            assert bare == wanted.replace("\r\n", "\n")


@pytest.mark.parametrize("text", ["_x0041_", "a_x000D_b", "\ud800", "\ufffe\uffff", "<&>\"'", " a ", "\x00\x0b"])
def test_what_a_workbook_cannot_hold_is_spelled(text: str) -> None:
    table = _table(("errors",))
    [[_heading], [value]] = sheet(b"".join(xlsx.write(table, [[{"errors": text}]], dict)))
    assert re.sub(r"⟨U\+([0-9A-F]{4})⟩", lambda found: chr(int(found[1], 16)), unescape(value)) == text


def test_a_text_that_is_too_long_for_a_cell_says_so(user: FlaskClient) -> None:
    data = user.get(f"/api-requests.xlsx?event_id={sites.HUGE_ID}").data
    headings, row = sheet(data)
    cell = row[headings.index("data")]
    assert len(cell) == xlsx.MOST_CHARACTERS
    assert cell.endswith("⟨recortado aquí: 10000035 caracteres en total; CSV, JSON Lines y Parquet los tienen⟩")
    about = dict(openpyxl.load_workbook(io.BytesIO(data)).worksheets[1].values)
    assert (about["cut_cells"], about["rows"]) == ("1", "1")
    for emoji in ("🎉" * 16_384, "🎉" * 16_383, "🎉" * 16_383 + "a" * 2):
        table = _table(("errors",))
        [_, [value]] = sheet(b"".join(xlsx.write(table, [[{"errors": emoji}]], dict)))
        assert len(value.encode("utf-16-le")) // 2 <= xlsx.MOST_CHARACTERS
        assert table.cut_cells == (value != emoji)


def test_dates_before_a_workbooks_first_are_texts() -> None:
    old = dt.datetime(1900, 1, 1, 12, tzinfo=dt.UTC)
    [_, [value]] = sheet(b"".join(xlsx.write(_table(("requested_at",)), [[{"requested_at": old}]], dict)))
    assert value.startswith("1900-01-01 1")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_a_manifest_says_what_the_file_is(site: Site, user: FlaskClient, suffix: str, report: Report) -> None:
    name = "crm-a" if report is API_REQUESTS else "ignacio"
    query = f"user={name}&masked=wifi_password&from=2026-10-24&to=2026-12-01"
    query += "&columns=user,request_id&sort=user&density=compact"
    answer = user.get(f"/{report.name}.{suffix}?{query}&manifest=1")
    assert answer.content_type == "application/zip"
    assert answer.headers["Content-Disposition"].endswith(f'_to-2026-12-01.{suffix}.zip"')
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        file, manifest = archive.namelist()
        content, told = archive.read(file), json.loads(archive.read(manifest))
    assert manifest == "manifest.json"
    items = listed(user, report, query)
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    assert told["bytes"] == len(content)
    assert told["file"] == file
    assert told["rows"] == len(items)
    assert told["filters"] == {
        "user": [name],
        "masked": ["wifi_password"],
        "from": ["2026-10-24"],
        "to": ["2026-12-01"],
    }
    assert told["from"] == "2026-10-24T00:00:00+02:00"
    assert (told["columns"], told["all_columns"], told["sort"]) == (["user", "request_id"], False, "user")
    assert (told["time_zone"], told["language"], told["created_by"]) == ("Europe/Madrid", "es", "ana")
    assert told["masked_fields"]["wifi_password"] == len(items)
    assert told["data_until"] == "2026-11-22T09:55:36+01:00"
    assert (told["waiting_in_kafka"], told["dead_letters"], told["worker"]) == (3, 5, "ok")
    assert user.get(f"/{report.name}.{suffix}?{query}").data == content or suffix in ("xlsx", "parquet")


def test_every_format_has_the_chosen_columns_in_their_order(user: FlaskClient) -> None:
    query = "columns=status_code,requested_at,user&user=phicustester"
    text = user.get(f"/api-requests.csv?{query}").text
    assert next(csv.reader(io.StringIO(text[1:]), delimiter=";")) == [
        "status_code",
        "requested_at (Europe/Madrid)",
        "user",
    ]
    assert sheet(user.get(f"/api-requests.xlsx?{query}").data)[1] == [
        200,
        dt.datetime(2026, 11, 22, 9, 55, 36),
        "phicustester",
    ]
    assert list(json.loads(user.get(f"/api-requests.jsonl?{query}").text)) == ["status_code", "requested_at", "user"]
    table = pq.read_table(io.BytesIO(user.get(f"/api-requests.parquet?{query}").data))
    assert table.column_names == ["status_code", "requested_at", "user"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_result_without_rows_is_a_file_without_rows(user: FlaskClient, suffix: str) -> None:
    data = user.get(f"/admin-changes.{suffix}?user=nobody").data
    match suffix:
        case "csv":
            assert data.count(b"\r\n") == 1
        case "jsonl":
            assert data == b""
        case "xlsx":
            assert len(sheet(data)) == 1
        case "parquet":
            assert pq.read_table(io.BytesIO(data)).num_rows == 0


def test_too_many_rows_are_refused_before_the_first(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with sites.site(clickhouse, tmp_path_factory.mktemp("limit"), export_rows=200) as made:
        user = made.user()
        answer = user.get("/api-requests.csv")
        assert answer.status_code == 413
        assert "Esta vista tiene 3.047 filas, y una exportación en este formato admite como mucho 200" in answer.text
        assert "Como mucho 200 filas: acota antes la vista." in text_of(user.get("/api-requests").text)
        assert user.get("/admin-changes.csv?action=change").status_code == 200


def test_a_sheet_has_a_limit_of_its_own(site: Site) -> None:
    with site.app.app_context():
        assert export.most_rows(FORMATS["xlsx"]) == 1_048_575
        assert export.most_rows(FORMATS["csv"]) == 20_000_000


def test_a_sheet_that_would_overflow_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "MOST_ROWS", 3)
    blocks = [[{"errors": "x"}] * 2] * 2
    with pytest.raises(OverflowError):
        b"".join(xlsx.write(_table(("errors",)), blocks, dict))


def test_progress_is_told_to_who_asked(site: Site, user: FlaskClient) -> None:
    job = "0123456789abcdef" * 2
    assert user.get(f"/exports/{job}").status_code == 404
    data = user.get(f"/api-requests.csv?{FILTERS}&job={job}").data
    told = user.get(f"/exports/{job}").json
    rows = data.count(b"\r\n") - 1
    assert told == {"total": rows, "rows": rows, "state": "done", "sha256": hashlib.sha256(data).hexdigest()}
    site.app.extensions["krill_logger"].accounts.create_user("otto", sites.PASSWORD)
    assert site.user("otto").get(f"/exports/{job}").status_code == 404
    with user.get(f"/api-requests.jsonl?job={'f' * 32}", buffered=False) as answer:
        next(answer.iter_encoded())
        assert user.get(f"/exports/{'f' * 32}").json["state"] == "running"
        answer.close()
    assert user.get(f"/exports/{'f' * 32}").json["state"] == "failed"
    assert user.get("/api-requests.csv?user=phicustester&job=../../x").status_code == 200


def _table(names: tuple[str, ...]) -> Table:
    columns = tuple(API_REQUESTS.by_name[name] for name in names)
    return Table(API_REQUESTS, columns, MADRID, "es", 1, "⟨{count}⟩")
