"""What the embedded ClickHouse reads from the text of a statement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.embedded.statement import parse


@pytest.mark.parametrize(
    ("text", "kind", "form", "data"),
    [
        (b"SELECT 1", b"SELECT", "", None),
        (b" -- note\n/* FORMAT x; */ select 1 format JSON ;\n", b"SELECT", "JSON", None),
        (b"SELECT 1 FORMAT CSV SETTINGS a = 1", b"SELECT", "CSV", None),
        (b"SELECT format FROM t", b"SELECT", "", None),
        (b"SELECT 'a FORMAT CSV'", b"SELECT", "", None),
        (b"(SELECT 1) UNION ALL (SELECT 2)", b"SELECT", "", None),
        (b"WITH 1 AS a SELECT a", b"WITH", "", None),
        (b"WITH 1 AS a INSERT INTO t SELECT a", b"INSERT", "", None),
        (b"INSERT INTO t (a, b) FORMAT CSV\n1;2", b"INSERT", "CSV", b"1;2"),
        (b"INSERT INTO t SETTINGS async_insert = 0 FORMAT Native\n\x00\xff'", b"INSERT", "Native", b"\x00\xff'"),
        (b"INSERT INTO `t` (`name`) FORMAT Native\r\n\n", b"INSERT", "Native", b"\n"),
        (b"INSERT INTO t VALUES (1, ';'); ", b"INSERT", "Values", b" (1, ';'); "),
        (b"INSERT INTO format FORMAT CSV 1", b"INSERT", "CSV", b"1"),
        (b"INSERT INTO values VALUES (1)", b"INSERT", "Values", b" (1)"),
        (b"INSERT INTO FUNCTION file('x', 'CSV') FORMAT TSV\n1", b"INSERT", "TSV", b"1"),
        (b"INSERT INTO t SELECT 1", b"INSERT", "", None),
        (b"INSERT INTO t (a) (SELECT 1)", b"INSERT", "", None),
        (b"INSERT INTO t SELECT * FROM input('a UInt8') FORMAT CSV\n1", b"INSERT", "CSV", b"1"),
        (b"", b"", "", None),
    ],
)
def test_parse(text: bytes, kind: bytes, form: str, data: bytes | None) -> None:
    statement = parse(text)
    assert (statement.kind, statement.format) == (kind, form)
    assert (text[statement.data_at :] if statement.data_at >= 0 else None) == data
    assert not statement.more


@pytest.mark.parametrize("text", [b"SELECT 1; SELECT 2", b"SELECT ';' ; DROP TABLE t", b"SET a = 1;;x"])
def test_a_second_statement_is_seen(text: bytes) -> None:
    assert parse(text).more


def test_data_without_a_format_begins_behind_the_parameter() -> None:
    statement = parse(b'INSERT INTO t\n{"a": 1}', 14)
    assert (statement.data_at, statement.sql) == (14, b"INSERT INTO t\n")


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(text: bytes) -> None:
    statement = parse(text)
    assert statement.sql == text[: len(statement.sql)]
    assert -1 <= statement.data_at <= len(text)
