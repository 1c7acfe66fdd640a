"""The whole road, as `make up` runs it: a click in Krill's admin or a call to its API becomes a row in a report."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from confluent_kafka import Consumer, Producer, TopicPartition
from playwright.sync_api import Browser, Page

from deploy.embedded import kafka as embedded_kafka
from schemas import topics
from schemas.settings import Settings
from tests import hostile
from tests.conftest import free_port

pytestmark = pytest.mark.timeout(300)

COMMAND = str(Path(sys.executable).with_name("krill-logger"))
PASSWORD = "an-admin-of-the-test"


class Stack:
    """`krill-logger up` with ports and a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        names = ("DASHBOARD", "KAFKA", "CLICKHOUSE", "DEMO", "WORKER")
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KRILL_LOGGER_")},
            **{f"KRILL_LOGGER_{name}_PORT": str(free_port()) for name in names},
            "KRILL_LOGGER_DATA": str(folder / "var"),
            "KRILL_LOGGER_ADMIN_PASSWORD": PASSWORD,
        }
        self.settings = Settings.from_environ(self.environ)
        self.dashboard = f"http://127.0.0.1:{self.settings.dashboard_port}"
        self.demo = f"http://127.0.0.1:{self.settings.demo_port}"
        self.log = folder / "up.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.token = ""

    def up(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([COMMAND, "up"], env=self.environ, stdout=log, stderr=log)
        self.until(self.healthy, 120)
        self.until(self.demo_answers, 60)
        if not self.token:
            made = subprocess.run(
                [COMMAND, "tokens", "create", "road"], env=self.environ, capture_output=True, text=True, check=True
            )
            self.token = made.stdout.strip()

    def down(self) -> int:
        assert self.process
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def healthy(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            return bool(requests.get(f"{self.dashboard}/health", timeout=5).json()["status"] == "ok")
        return False

    def demo_answers(self) -> bool:
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            return requests.get(f"{self.demo}/admin/login/", timeout=5).ok
        return False

    def until(self, true: Callable[[], Any], seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while not (result := true()):
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return result

    def api(self, report: str, **filters: Any) -> dict[str, Any]:
        answer = requests.get(
            f"{self.dashboard}/api/v1/{report}",
            params=filters,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    def row(self, report: str, seconds: float = 20.0, **filters: Any) -> dict[str, Any]:
        """The one row that the filters find, once it is there."""
        found = self.until(lambda: self.api(report, **filters)["items"], seconds)
        assert len(found) == 1
        item: dict[str, Any] = found[0]
        return item

    def krill(self, method: str, path: str, request_id: str, **options: Any) -> requests.Response:
        """A call to Krill's API as the CRM `crm-demo`."""
        headers = {"Authorization": "Token demo", "X-Request-ID": request_id, **options.pop("headers", {})}
        return requests.request(method, self.demo + path, headers=headers, timeout=20, **options)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    embedded_kafka.fetch()
    made = Stack(tmp_path_factory.mktemp("road"))
    try:
        made.up()
        yield made
    finally:
        if made.process and made.process.poll() is None:
            made.down()


@pytest.fixture
def page(stack: Stack, browser: Browser) -> Iterator[Page]:
    """A page that is logged in to the dashboard."""
    context = browser.new_context(locale="es-ES", viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"{stack.dashboard}/login")
    page.get_by_label("Usuario").fill("admin")
    page.get_by_label("Contraseña").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{stack.dashboard}/")
    yield page
    context.close()


def one_cpe(stack: Stack) -> dict[str, Any]:
    answer = stack.krill("GET", "/api/v2/isp/cpes/?limit=1&realm=pim&active=true", uuid.uuid4().hex)
    cpe: dict[str, Any] = answer.json()["results"][0]
    return cpe


def test_the_demo_makes_events_by_itself(stack: Stack) -> None:
    stack.until(lambda: stack.api("api-requests")["total"] > 10, 30)
    stack.until(lambda: stack.api("admin-changes")["total"] > 0, 60)


def test_a_click_in_the_admin_is_a_row_without_its_secret(stack: Stack, browser: Browser) -> None:
    secret = f"geheim{uuid.uuid4().hex}"
    cpe = one_cpe(stack)
    with browser.new_context(locale="en-GB") as context:
        page = context.new_page()
        page.goto(f"{stack.demo}/admin/login/?next=/admin/isp/cpe/{cpe['id']}/change/")
        page.fill("[name=username]", "demo")
        page.fill("[name=password]", "demo")
        page.keyboard.press("Enter")
        page.wait_for_selector("[name=postalcode]")
        old = page.input_value("[name=postalcode]")
        page.fill("[name=postalcode]", "99901")
        page.fill("[name=wifi_password]", secret)
        page.locator("[name=_save]").click()
        page.wait_for_selector(".messagelist")
    change = stack.row("admin-changes", user="demo", object_id=str(cpe["id"]), object_type="cpe")
    assert change["action"] == "change"
    values = {one["field"]: (one["old"], one["new"]) for one in change["changes"]}
    assert values["postalcode"] == (old, "99901")
    assert set(values["wifi_password"][1]) == {"*"}
    assert "wifi_password" in change["masked"]
    assert "ostal" in change["change_message"]
    assert change["remote_addr"] == "127.0.0.1"

    folder = stack.settings.data
    time.sleep(1)
    holders = []
    for place, _, names in os.walk(folder):
        for path in (Path(place) / name for name in names):
            with contextlib.suppress(FileNotFoundError):  # ClickHouse merges its parts meanwhile
                if path.is_file() and secret.encode() in path.read_bytes():
                    holders.append(path)
    assert holders == []
    assert secret.encode() not in b"".join(everything_on_the_topics(stack.settings))


def everything_on_the_topics(settings: Settings) -> Iterator[bytes]:
    consumer = Consumer(settings.kafka(group_id=uuid.uuid4().hex, enable_auto_commit=False))
    for topic in topics.TOPICS:
        for number in range(settings.partitions):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
            if low == high:
                continue
            consumer.assign([TopicPartition(topic, number, low)])
            offset = low
            while offset < high:
                for message in consumer.consume(1_000, 1.0):
                    assert message.error() is None
                    offset = (message.offset() or 0) + 1
                    yield repr((message.key(), message.headers())).encode() + bytes(message.value() or b"")
    consumer.close()


def test_a_call_to_the_api_is_a_row_with_columns_and_panels(stack: Stack, page: Page) -> None:
    cpe = one_cpe(stack)
    request_id = uuid.uuid4().hex
    answer = stack.krill(
        "PATCH",
        f"/api/v2/isp/cpes/{cpe['id']}/?attrs=id,postalcode",
        request_id,
        json={"postalcode": "28013", "wifi_password": "never-to-be-seen"},
    )
    assert answer.status_code == 200
    row = stack.row("api-requests", request_id=request_id)
    assert (row["user"], row["method"], row["status_code"]) == ("crm-demo", "PATCH", 200)
    assert row["path"] == f"/api/v2/isp/cpes/{cpe['id']}/"
    assert row["route"] == "/api/v2/isp/cpes/{id}/"
    assert (row["app"], row["object_type"], row["object_id"]) == ("isp", "cpe", str(cpe["id"]))
    assert (row["action"], row["view"]) == ("partial_update", "webapp.isp.views.CpeViewSet")
    assert row["remote_addr"] == "127.0.0.1"
    assert row["query_params"] == {"attrs": "id,postalcode"}
    assert row["data"] == {"postalcode": "28013", "wifi_password": "*" * 20}
    assert row["response"]["postalcode"] == "28013"
    assert 0 < row["response_ms"] < 20_000

    page.goto(f"{stack.dashboard}/api-requests?request_id={request_id}")
    line = page.locator("table tbody tr").first
    for text in ("crm-demo", "127.0.0.1", "200", "PATCH", row["path"], row["host"]):
        assert text in line.inner_text()
    assert "webapp.isp.views.CpeViewSet.partial_update()" in line.inner_text()
    page.goto(f"{stack.dashboard}/api-requests/{row['event_id']}")
    shown = page.locator("main").inner_text()
    for title in ("Parámetros", "Datos", "Respuesta", "Errores"):
        assert title.casefold() in shown.casefold()
    assert "28013" in shown
    assert "never-to-be-seen" not in page.content()

    change = stack.row("admin-changes", request_id=request_id)
    assert {"field": "postalcode", "old": cpe["postalcode"], "new": "28013"} in change["changes"]


JSON = {"Content-Type": "application/json"}
FAILURES: list[tuple[str, str, str, dict[str, Any], int, str]] = [
    ("not found", "GET", "/api/v2/isp/nothing/here/", {}, 404, ""),
    ("no such object", "GET", "/api/v2/isp/cpes/99999999/", {}, 404, ""),
    ("wrong token", "GET", "/api/v2/isp/cpes/", {"headers": {"Authorization": "Token wrong"}}, 401, ""),
    ("bad JSON", "PATCH", "/api/v2/isp/cpes/1/", {"data": '{"postalcode": ', "headers": JSON}, 400, ""),
    ("a crash", "POST", "/api/v2/cpes/41/diagnostic", {}, 500, "Traceback"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure[0])
def test_what_fails_is_a_row_too(stack: Stack, failure: tuple[str, str, str, dict[str, Any], int, str]) -> None:
    _, method, path, options, status, errors = failure
    request_id = uuid.uuid4().hex
    assert stack.krill(method, path, request_id, **options).status_code == status
    row = stack.row("api-requests", request_id=request_id)
    assert (row["status_code"], row["method"], row["path"]) == (status, method, path)
    assert errors in row["errors"]
    if status == 401:
        assert row["user"] == "Anonymous"
    if "data" in options:
        assert row["data"] == options["data"]


def test_hostile_messages_are_rows_or_dead_letters_and_harmless(stack: Stack, page: Page) -> None:
    before = {name: stack.api(name)["total"] for name in ("api-requests", "admin-changes")}
    producer = Producer(
        stack.settings.kafka(message_max_bytes=topics.MAX_MESSAGE_BYTES, queue_buffering_max_kbytes=500_000)
    )
    sent = 0
    for topic, value in hostile.messages():
        producer.produce(topic, value)
        sent += 1
    assert producer.flush(60) == 0
    assert sent == 1_000

    mine = "kafka_topic IN ('krill.api.requests', 'krill.admin.changes')"

    def count(query: str) -> int:
        answer = requests.post(
            stack.settings.clickhouse, params={"database": "krill_logger"}, data=query.encode(), timeout=30
        )
        assert answer.status_code == 200, answer.text
        return int(answer.text)

    def ours() -> bool:
        """Rows and dead letters together are all that the topics hold."""
        stored = (
            count("SELECT count() FROM api_requests")
            + count("SELECT count() FROM admin_changes")
            + count(f"SELECT count() FROM dead_letters FINAL WHERE {mine}")
        )
        consumer = Consumer(stack.settings.kafka(group_id=uuid.uuid4().hex))
        held = 0
        for topic in (topics.API_REQUESTS, topics.ADMIN_CHANGES):
            for number in range(stack.settings.partitions):
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
                held += high - low
        consumer.close()
        return abs(held - stored) <= 20 and stored >= sum(before.values()) + 1_000  # the traffic goes on meanwhile

    stack.until(ours, 60)
    dead = count(f"SELECT count() FROM dead_letters FINAL WHERE {mine}")
    assert 100 < dead < 900
    assert stack.healthy()

    for path in ("/", "/api-requests?per_page=500", "/admin-changes?per_page=500", "/trends?by=user", "/dead-letters"):
        answer = page.goto(stack.dashboard + path)
        assert answer
        assert answer.status == 200, path
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.hacked") is None, path
    for report in ("api-requests", "admin-changes"):
        for item in stack.api(report, per_page=100)["items"][::25]:
            answer = page.goto(f"{stack.dashboard}/{report}/{item['event_id']}")
            assert answer
            assert answer.status == 200
            assert page.evaluate("window.hacked") is None
        csv.field_size_limit(64 * 1024 * 1024)
        text = page.request.get(f"{stack.dashboard}/{report}.csv").body().decode("utf-8-sig")
        cells = [cell for line in csv.reader(io.StringIO(text), delimiter=";") for cell in line]
        assert len(cells) > 1_000
        starts = [
            cell
            for cell in cells
            if re.match(r"[\s\ufeff\"]*[=+@\-＝＋－＠]", cell) and not re.fullmatch(r"-?[\d.,]+", cell)
        ]
        assert starts == []


def test_a_second_start_has_the_same_events(stack: Stack) -> None:
    first = stack.api("api-requests", sort="requested_at", per_page=50)["items"]
    total = stack.api("api-requests")["total"]
    assert stack.down() == 0
    started = time.monotonic()
    stack.up()
    assert time.monotonic() - started < 60
    assert stack.api("api-requests", sort="requested_at", per_page=50)["items"] == first
    assert stack.api("api-requests")["total"] >= total


def test_a_process_that_dies_is_started_again(stack: Stack) -> None:
    workers = subprocess.run(
        ["pgrep", "-f", f"{COMMAND} worker|deploy.cli worker", "-P", str(stack.process and stack.process.pid)],
        capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    assert workers
    os.kill(int(workers[0]), signal.SIGKILL)
    request_id = uuid.uuid4().hex
    stack.krill("GET", "/api/v2/me/", request_id)
    stack.row("api-requests", request_id=request_id, seconds=60)
