"""The embedded ClickHouse as its clients see it: clickhouse-connect, and plain HTTP as other drivers use it."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import clickhouse_connect
import pyarrow as pa
import pytest
import urllib3
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

from deploy.embedded import frames
from tests.conftest import Database, Server

HTTP = urllib3.PoolManager()


@pytest.fixture
def database(clickhouse: str) -> Iterator[Database]:
    """A database of the test's own, without tables."""
    name = f"test_{uuid.uuid4().hex}"
    client = clickhouse_connect.get_client(dsn=clickhouse, autogenerate_session_id=False)
    client.command(f"CREATE DATABASE {name}")
    client.database = name
    yield Database(name, client)
    client.command(f"DROP DATABASE {name} SYNC")
    client.close()


@pytest.fixture
def client(database: Database) -> Any:
    """A client whose database has the table `t`."""
    database.client.command(
        "CREATE TABLE t (n UInt64, s String DEFAULT 'none', at DateTime64(3, 'UTC') DEFAULT now64(3)) "
        "ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100"
    )
    return database.client


@pytest.fixture
def ask(clickhouse: str, database: Database) -> Any:
    """A plain HTTP request: SQL, parameters of the URL, body, headers."""

    def request(
        query: str | None = None,
        body: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
        method: str = "POST",
        **parameters: str,
    ) -> urllib3.BaseHTTPResponse:
        given = {"query": query} if query is not None else {}
        url = f"{clickhouse}/?{urlencode({'database': database.name} | given | parameters)}"
        return HTTP.request(method, url, body=body, headers=headers, retries=False)

    return request


def arrow(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    with pa.ipc.new_file(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


class TestClickHouseConnect:
    def test_rows_in_and_out(self, client: Any) -> None:
        rows = [[1, "it's \\ \n\t ñ €"], [2, ""], [2**63, "x" * 100_000]]
        assert client.insert("t", rows, column_names=["n", "s"]).written_rows == 3
        assert client.query("SELECT n, s FROM t ORDER BY n").result_rows == [tuple(row) for row in rows]

    @pytest.mark.parametrize("compress", [True, False, "zstd", "gzip", "lz4"])
    def test_compression(self, clickhouse: str, client: Any, compress: bool | str) -> None:
        other = clickhouse_connect.get_client(
            dsn=clickhouse, database=client.database, compress=compress, autogenerate_session_id=False
        )
        other.insert("t", [[n, "row"] for n in range(10_000)], column_names=["n", "s"])
        assert other.query("SELECT sum(n), count() FROM t").result_rows == [(49_995_000, 10_000)]
        assert len(other.query("SELECT * FROM t").result_rows) == 10_000
        other.close()

    def test_arrow(self, client: Any) -> None:
        table = pa.table({"s": pa.array(["a", "b"] * 500).dictionary_encode(), "n": pa.array(range(1000), pa.uint64())})
        client.insert_arrow("t", table)
        client.insert_arrow("t", table.slice(0, 0))
        back = client.query_arrow("SELECT n, s FROM t ORDER BY n", use_strings=True)
        assert back.column("n").to_pylist() == list(range(1000))
        assert back.column("s").to_pylist() == ["a", "b"] * 500
        # A column that is not given has the table's default.
        assert client.command("SELECT countIf(at = 0) FROM t") == 0

    @pytest.mark.parametrize("form", ["Arrow", "ArrowStream", "Parquet", "Native", "JSONEachRow", "CSV", "RowBinary"])
    def test_every_format_comes_back_as_it_went(self, client: Any, form: str) -> None:
        sql = "SELECT number AS n, concat('s', toString(number)) AS s FROM numbers(200000)"
        data = client.raw_query(sql, fmt=form)
        client.raw_insert("t", ["n", "s"], data, fmt=form)
        assert client.query("SELECT count(), uniqExact(n), any(s LIKE 's%') FROM t").result_rows == [
            (200_000, 200_000, True)
        ]

    def test_streams_hold_little(self, client: Any) -> None:
        with client.query_rows_stream("SELECT number, toString(number) FROM numbers(1000000)") as rows:
            assert sum(row[0] for row in rows) == 499_999_500_000
        stream = client.raw_stream("SELECT number FROM numbers(1000000)", fmt="CSV")
        assert sum(1 for _ in stream) == 1_000_000
        stream.close()

    def test_a_stream_that_is_left_frees_its_connection(self, client: Any) -> None:
        for _ in range(40):
            with client.query_rows_stream("SELECT number FROM numbers(10000000)") as rows:
                next(iter(rows))
        assert client.command("SELECT 1") == 1

    def test_parameters_are_never_sql(self, client: Any) -> None:
        hostile = "x') OR 1=1; DROP TABLE t -- \\' \" ` \n\t\0 {n:UInt8} ñ"
        asked = client.query(
            "SELECT {a:String}, {b:Array(Int8)}, {c:DateTime}, {d:Nullable(String)}",
            parameters={"a": hostile, "b": [1, -2], "c": dt.datetime(2026, 1, 2, 3, 4, 5), "d": None},
        )
        assert asked.result_rows == [(hostile, [1, -2], dt.datetime(2026, 1, 2, 3, 4, 5), None)]
        long = "x" * 300_000
        assert client.query("SELECT length({a:String})", parameters={"a": long}).result_rows == [(300_000,)]
        with pytest.raises(DatabaseError, match=r"does not exist|UNKNOWN"):
            client.query("SELECT 1 FROM {t:Identifier}", parameters={"t": "t; DROP TABLE t"})
        assert client.command("SELECT count() FROM t") == 0

    def test_settings_do_not_reach_other_requests(self, client: Any) -> None:
        asked = client.query("SELECT getSetting('max_block_size')", settings={"max_block_size": 77})
        assert asked.result_rows == [(77,)]
        assert client.query("SELECT getSetting('max_block_size')").result_rows != [(77,)]
        client.command("SET max_block_size = 78")
        assert client.query("SELECT getSetting('max_block_size')").result_rows != [(78,)]

    def test_sessions_keep_tables_and_not_settings(self, clickhouse: str, database: Database) -> None:
        mine, other = (clickhouse_connect.get_client(dsn=clickhouse, autogenerate_session_id=True) for _ in "12")
        mine.command("CREATE TEMPORARY TABLE mine (n UInt8)")
        mine.insert("mine", [[1]], column_names=["n"], settings={"max_block_size": 77})
        assert mine.query("SELECT n FROM mine", settings={"max_threads": 1}).result_rows == [(1,)]
        assert mine.query("SELECT getSetting('max_block_size') IN (77, 1)").result_rows == [(False,)]
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            other.query("SELECT n FROM mine")
        mine.command("SET max_block_size = 99")
        assert mine.query("SELECT getSetting('max_block_size')").result_rows == [(99,)]
        for each in (mine, other):
            each.close()

    def test_external_data(self, client: Any) -> None:
        external = ExternalData(
            file_name="people.csv", data=b"1,Ana\n2,Jon\n", fmt="CSV", structure=["n UInt8", "name String"]
        )
        rows = client.query("SELECT name FROM people ORDER BY n", external_data=external).result_rows
        assert rows == [("Ana",), ("Jon",)]

    def test_an_error_among_the_rows_is_seen(self, client: Any) -> None:
        sql = "SELECT throwIf(number = 3000000) FROM numbers(5000000)"
        with (
            pytest.raises((StreamFailureError, OperationalError, DatabaseError), match="395"),
            client.query_rows_stream(sql) as rows,
        ):
            for _ in rows:
                pass

    def test_deduplication_token(self, client: Any) -> None:
        for token, expected in (("a", 2), ("a", 2), ("b", 4)):
            table = pa.table({"n": pa.array([1, 2], pa.uint64())})
            settings = {"insert_deduplication_token": token, "async_insert": 0}
            client.insert_arrow("t", table, settings=settings)
            assert client.command("SELECT count() FROM t") == expected
            client.raw_insert("t", ["n"], b"1\n2\n", fmt="CSV", settings=settings)
            assert client.command("SELECT count() FROM t") == expected


class TestPlainHttp:
    def test_ping_and_root(self, clickhouse: str) -> None:
        assert HTTP.request("GET", f"{clickhouse}/ping").data == b"Ok.\n"
        assert HTTP.request("GET", f"{clickhouse}/").data == b"Ok.\n"
        assert HTTP.request("GET", f"{clickhouse}/play").status == 404

    def test_curl(self, clickhouse: str, client: Any) -> None:
        def curl(*arguments: str) -> str:
            return subprocess.run(["curl", "-sS", *arguments], capture_output=True, text=True, check=True).stdout

        url = f"{clickhouse}/?database={client.database}"
        assert curl(clickhouse, "-d", "SELECT 1 + 1") == "2\n"
        assert curl("--user", "default:secret", clickhouse, "-d", "SELECT 'ok' FORMAT CSV") == '"ok"\n'
        assert curl(url, "-H", "Transfer-Encoding: chunked", "-d", "INSERT INTO t (n, s) VALUES (1, upper('a'))") == ""
        assert curl(url, "--data-binary", 'INSERT INTO t FORMAT JSONEachRow\n{"n": 2}\n{"n": 3, "s": "x;y"}\n') == ""
        assert curl("-G", url, "--data-urlencode", "query=SELECT n, s FROM t ORDER BY n") == "1\tA\n2\tnone\n3\tx;y\n"
        assert curl("--compressed", f"{url}&enable_http_compression=1", "-d", "SELECT 7") == "7\n"

    def test_sql_in_the_parameter_and_data_in_the_body(self, ask: Any, client: Any) -> None:
        assert ask("INSERT INTO t (n) FORMAT CSV", b"1\n2\n").status == 200
        assert ask("INSERT INTO t (n) VALUES", b"(3), (4)").status == 200
        assert ask("INSERT INTO t (n) VALUES (5),", b"(6)").status == 200
        assert ask("SELECT sum(n)", b" FROM t").data == b"21\n"
        chunks = iter([b'{"n": ', b"7}\n", b'{"n": 8}'])
        assert ask("INSERT INTO t FORMAT JSONEachRow", chunks).status == 200
        assert ask("SELECT sum(n) FROM t").data == b"36\n"
        assert ask("INSERT INTO t (n)", b"9\n", {"X-ClickHouse-Format": "TSV"}).status == 200
        assert ask("SELECT max(n) FROM t").data == b"9\n"

    def test_a_statement_as_long_as_it_likes(self, ask: Any) -> None:
        numbers = ",".join(map(str, range(200_000)))
        assert ask(None, f"SELECT length([{numbers}])".encode(), max_query_size="10000000").data == b"200000\n"

    def test_formats_and_headers(self, ask: Any) -> None:
        for more in ({"default_format": "JSONEachRow"}, {"headers": {"X-ClickHouse-Format": "JSONEachRow"}}):
            answer = ask("SELECT 1 AS a", query_id="q-1", **more)
            assert answer.data == b'{"a":1}\n'
            assert answer.headers["X-ClickHouse-Format"] == "JSONEachRow"
            assert answer.headers["X-ClickHouse-Query-Id"] == "q-1"
            assert '"read_rows": "1"' in answer.headers["X-ClickHouse-Summary"]
        answer = ask("SELECT 1 FORMAT JSON", default_format="CSV")
        assert answer.headers["Content-Type"].startswith("application/json")
        assert ask("SELECT currentDatabase()", None, {"X-ClickHouse-Database": "x"}).data.startswith(b"test_")
        totals = ask("SELECT number % 2 AS k, count() FROM numbers(4) GROUP BY k WITH TOTALS ORDER BY k")
        assert totals.data == b"0\t2\n1\t2\n\n0\t4\n"
        assert ask("SELECT 1 WHERE 0 FORMAT CSVWithNames").data == b'"1"\n'
        assert ask("SELECT displayName(), version(), revision(), timezone()").data.split()[-1] == b"UTC"

    def test_a_question_without_an_answer_is_asked_once(self, ask: Any) -> None:
        def asked() -> int:
            return int(ask("SELECT value FROM system.events WHERE event = 'SelectQuery'").data)

        before = asked()
        for form in ("Native", "TSV", "JSONEachRow"):
            assert ask(f"SELECT number FROM numbers(3) WHERE number > 5 FORMAT {form}").data == b""
        assert asked() - before == 3 + 1

    def test_a_value_alone_is_no_statement(self, ask: Any) -> None:
        """chDB takes `1` for `SELECT 1` unless a setting says no, which must hold whatever else a request sets."""
        for more in ({}, {"max_threads": "1"}, {"session_id": "alone"}, {"session_id": "alone", "max_threads": "1"}):
            assert ask("1", **more).headers["X-ClickHouse-Exception-Code"] == "62"

    def test_native_frames(self, ask: Any, client: Any) -> None:
        answer = ask("SELECT number FROM numbers(500000) FORMAT Native", compress="1")
        assert (
            b"".join(frames.from_frames([answer.data])) == ask("SELECT number FROM numbers(500000) FORMAT Native").data
        )
        body = b"".join(frames.to_frames([b"1\n2\n"]))
        assert ask("INSERT INTO t (n) FORMAT CSV", body, decompress="1").status == 200
        broken = body[:-3] + b"\0" + body[-2:]
        assert b"checksum" in ask("INSERT INTO t (n) FORMAT CSV", broken, decompress="1").data
        assert ask("SELECT count() FROM t").data == b"2\n"

    def test_encoded_bodies(self, ask: Any) -> None:
        answer = ask(None, gzip.compress(b"SELECT 5"), {"Content-Encoding": "gzip"})
        assert answer.data == b"5\n"
        assert ask(None, b"SELECT 5", {"Content-Encoding": "gzip"}).status == 500
        answer = ask("SELECT 5", None, {"Accept-Encoding": "gzip"}, enable_http_compression="1")
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in ask("SELECT 5", None, {"Accept-Encoding": "gzip"}).headers

    @pytest.mark.parametrize(
        ("query", "status", "code"),
        [
            ("SELEC 1", 400, 62),
            ("SELECT 1; SELECT 2", 400, 62),
            ("SELECT 1 FROM missing", 404, 60),
            ("SELECT missing", 404, 47),
            ("SELECT throwIf(1)", 500, 395),
            ("SELECT {a:UInt8}", 400, 456),
            ("SELECT 1 INTO OUTFILE '/dev/null'", 501, 48),
            ("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT LineAsString", 501, 48),
            ("INSERT INTO missing FORMAT CSV 1", 404, 60),
        ],
    )
    def test_errors(self, ask: Any, query: str, status: int, code: int) -> None:
        answer = ask(query)
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
        assert answer.data.startswith(f"Code: {code}. DB::Exception: ".encode())
        assert b"Traceback" not in answer.data

    def test_unknown_setting_and_database(self, ask: Any) -> None:
        assert ask("SELECT 1", no_such_setting="1").headers["X-ClickHouse-Exception-Code"] == "115"
        assert ask("SELECT 1", **{"max_threads = 1, readonly": "1"}).headers["X-ClickHouse-Exception-Code"] == "115"
        assert ask("SELECT 1", database="no such").headers["X-ClickHouse-Exception-Code"] == "81"

    def test_get_only_reads(self, ask: Any, client: Any) -> None:
        assert ask("SELECT 1", method="GET").data == b"1\n"
        for query in ("INSERT INTO t (n) VALUES (1)", "DROP TABLE t", "WITH 1 AS a INSERT INTO t (n) SELECT a"):
            assert ask(query, method="GET").headers["X-ClickHouse-Exception-Code"] == "164"
        assert client.command("SELECT count() FROM t") == 0

    def test_input_function_with_a_deadline(self, ask: Any, client: Any) -> None:
        query = (
            "INSERT INTO t (n, s) SELECT n, s FROM input('n UInt64, s String') "
            "WHERE NOT throwIf(now64(3) > {deadline:DateTime64(3)}, 'too late') FORMAT Arrow"
        )
        body = arrow(pa.table({"n": pa.array([1, 2], pa.uint64()), "s": ["a", "b"]}))
        late = ask(query, body, param_deadline="2001-01-01 00:00:00")
        assert late.headers["X-ClickHouse-Exception-Code"] == "395"
        for _ in "12":
            token = {"insert_deduplication_token": "x", "async_insert": "0"}
            assert ask(query, body, param_deadline="2100-01-01 00:00:00", **token).status == 200
        assert client.query("SELECT n, s FROM t ORDER BY n").result_rows == [(1, "a"), (2, "b")]

    def test_a_locked_session_is_refused(self, ask: Any) -> None:
        slow = threading.Thread(
            target=ask,
            args=("SELECT sleepEachRow(1) FROM numbers(2) SETTINGS max_block_size = 1",),
            kwargs={"session_id": "busy"},
        )
        slow.start()
        time.sleep(0.5)
        assert ask("SELECT 1", session_id="busy").headers["X-ClickHouse-Exception-Code"] == "373"
        slow.join()
        assert ask("SELECT 1", session_id="busy").data == b"1\n"
        assert ask("SELECT 1", session_id="new", session_check="1").headers["X-ClickHouse-Exception-Code"] == "372"

    def test_a_session_is_free_once_its_answer_was_read(self, clickhouse: str) -> None:
        query = "SELECT number FROM numbers(2) SETTINGS max_block_size = 1"
        tables = [f"t{number}" for number in range(20)]  # dropped at the end, which takes a while
        described = {f"{table}_structure": "n UInt8" for table in tables}
        url = f"{clickhouse}/?{urlencode({'query': query, 'session_id': 'quick', **described})}"
        # A connection's next request waits for the one before by itself.
        with urllib3.PoolManager() as one, urllib3.PoolManager() as other:
            answers = [
                client.request("POST", url, fields={table: (table, b"1") for table in tables}).data
                for client in (one, other) * 5
            ]
        assert answers == [b"0\n1\n"] * 10


class TestWebPages:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "evil.example"},
            {"Host": "evil.example:8123"},
            {"Host": "127.0.0.1"},
            {"Host": "127.0.0.1.evil.example"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Referer": "https://evil.example/page"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    @pytest.mark.parametrize("path", ["/", "/ping", "/?query=SELECT+1"])
    def test_are_refused(self, clickhouse: str, headers: dict[str, str], path: str) -> None:
        answer = HTTP.request("POST", clickhouse + path, headers=headers, body=b"", retries=False)
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers

    def test_names_of_this_machine_are_served(self, clickhouse: str) -> None:
        port = clickhouse.rpartition(":")[2]
        for host in (f"localhost:{port}", f"LOCALHOST:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
            headers = {"Host": host, "Origin": f"http://{host.lower()}"}
            assert HTTP.request("GET", f"{clickhouse}/?query=SELECT+1", headers=headers).data == b"1\n"

    def test_no_preflight_is_answered(self, clickhouse: str) -> None:
        assert HTTP.request("OPTIONS", clickhouse).status == 501


class TestLoad:
    def test_a_slow_query_does_not_hold_an_insert(self, client: Any) -> None:
        sql = "SELECT sleepEachRow(1) FROM numbers(3) SETTINGS max_block_size = 1"
        slow = threading.Thread(target=client.query, args=(sql,))
        slow.start()
        time.sleep(0.3)
        started = time.monotonic()
        client.insert("t", [[1]], column_names=["n"])
        assert time.monotonic() - started < 1.5
        assert slow.is_alive()
        slow.join()

    def test_many_at_once(self, client: Any) -> None:
        failures: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for n in range(20):
                    client.insert("t", [[number * 100 + n]], column_names=["n"])
                    block = 1000 + number
                    found = client.query("SELECT getSetting('max_block_size')", settings={"max_block_size": block})
                    assert found.result_rows == [(block,)]
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert client.query("SELECT count(), uniqExact(n) FROM t").result_rows == [(240, 240)]


class TestProcess:
    @staticmethod
    def client(server: Server) -> Any:
        return clickhouse_connect.get_client(dsn=server.settings.clickhouse, autogenerate_session_id=False)

    def test_kill_keeps_what_was_committed(self, clickhouse_server: Server) -> None:
        clickhouse_server.start()
        client = self.client(clickhouse_server)
        client.command("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
        done, stop = [0], threading.Event()

        def insert() -> None:
            while not stop.is_set():
                try:
                    client.insert("t", [[done[0]]], column_names=["n"])
                except Exception:
                    return
                done[0] += 1

        thread = threading.Thread(target=insert)
        thread.start()
        while done[0] < 30:
            time.sleep(0.01)
        assert clickhouse_server.process
        # The process that was started, not its children: those must not outlive it.
        os.kill(clickhouse_server.process.pid, signal.SIGKILL)
        clickhouse_server.process.wait()
        stop.set()
        thread.join()
        clickhouse_server.start()
        client = self.client(clickhouse_server)
        found = client.query("SELECT count(), uniqExact(n) FROM t").result_rows[0]
        # The insert in hand when it was killed may or may not be there.
        assert found in ((done[0], done[0]), (done[0] + 1, done[0] + 1))

    def test_sigterm_ends_it_cleanly(self, clickhouse_server: Server) -> None:
        clickhouse_server.start()
        client = self.client(clickhouse_server)
        client.command("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
        rows: list[Any] = []
        sql = "SELECT sleepEachRow(0.5) FROM numbers(3) SETTINGS max_block_size = 1"
        slow = threading.Thread(target=lambda: rows.extend(client.query(sql).result_rows))
        slow.start()
        time.sleep(0.4)
        assert clickhouse_server.stop() == 0
        slow.join()
        assert len(rows) == 3
        assert "Traceback" not in clickhouse_server.log.read_text()

    def test_one_process_per_folder(self, clickhouse_server: Server) -> None:
        clickhouse_server.start()
        environment = os.environ | {
            "KRILL_LOGGER_DATA": str(clickhouse_server.settings.data),
            "KRILL_LOGGER_CLICKHOUSE_PORT": "1",
        }
        second = subprocess.run(
            [sys.executable, "-m", "deploy.embedded.clickhouse"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert second.returncode == 1
        assert "Another ClickHouse already uses" in second.stderr
        assert len(second.stderr.splitlines()) == 1

    def test_a_foreign_folder_is_left_alone(self, clickhouse_server: Server) -> None:
        folder = clickhouse_server.settings.data / "clickhouse"
        folder.mkdir(parents=True)
        (folder / "holiday.jpg").write_bytes(b"x")
        with pytest.raises(RuntimeError, match="is not a folder of this ClickHouse"):
            clickhouse_server.start()
