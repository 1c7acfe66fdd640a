"""From a Django process to a real broker: events arrive once, whatever dies in between."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from deploy.topics import create_topics
from schemas import topics
from schemas.events import AdminChange
from schemas.settings import Settings
from tests.krill_project import running

SET_UP = "import django; django.setup()\nfrom tests.krill_project.isp.models import Cpe\n"


class Project:
    """The test project in processes of its own, its databases in a folder of the test's own."""

    def __init__(self, folder: Path, bootstrap: str) -> None:
        self.environment = running.environment(folder, bootstrap)
        self.mark = uuid.uuid4().hex[:12]

    def python(self, code: str, *, bootstrap: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = self.environment | ({"KRILL_PROJECT_BOOTSTRAP": bootstrap} if bootstrap else {})
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", SET_UP + code.replace("MARK", self.mark)],
            env=environment, capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip

    def manage(self, *args: str, bootstrap: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = self.environment | ({"KRILL_PROJECT_BOOTSTRAP": bootstrap} if bootstrap else {})
        return subprocess.run(
            [sys.executable, "-m", "django", *args],
            env=environment, capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip

    def left(self) -> int:
        """Events in the outbox."""
        code = "from producers.django.models import OutboxEvent; print(OutboxEvent.objects.count())"
        return int(self.python(code).stdout)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory, kafka):
    """A folder with the project's databases."""
    create_topics(Settings(kafka_bootstrap=kafka))
    folder = tmp_path_factory.mktemp("project")
    result = Project(folder, kafka).manage("migrate", "--run-syncdb", "--verbosity=0")
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def project(migrated, tmp_path, kafka):
    shutil.copytree(migrated, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path, kafka)


@pytest.fixture
def arrived(kafka, project):
    """Reads all messages of this test's project from a topic, in the order of each partition."""

    def read(topic: str = topics.ADMIN_CHANGES) -> list:
        consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": uuid.uuid4().hex,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            }
        )
        found = []
        try:
            partitions = consumer.list_topics(topic, 10).topics[topic].partitions
            consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
            ends = 0
            while ends < len(partitions):
                message = consumer.poll(10)
                assert message is not None
                if message.error():
                    ends += 1
                elif project.mark.encode() in message.value():
                    found.append(message)
        finally:
            consumer.close()
        return found

    return read


def test_a_process_relays_what_it_committed(project, arrived):
    result = project.python("Cpe.objects.create(cpename='MARK', wifi_password='hunter2')")
    assert (result.returncode, result.stderr) == (0, "")
    (message,) = arrived()
    event = msgspec.json.decode(message.value(), type=AdminChange)
    assert event.action == "addition"
    assert message.key().decode() == f"isp.cpe:{event.object_id}"
    headers = dict(message.headers())
    assert headers["ce_type"] == b"krill.admin.change.v1"
    assert headers["ce_id"] == str(event.event_id).encode()
    assert headers["ce_source"] == b"krill/test"
    assert b"hunter2" not in message.value()
    assert project.left() == 0


def test_a_process_that_is_killed_right_after_commit_loses_nothing(project, arrived):
    code = "import os, signal\nCpe.objects.create(cpename='MARK')\nos.kill(os.getpid(), signal.SIGKILL)"
    assert project.python(code).returncode == -signal.SIGKILL
    assert project.left() == 1
    result = project.manage("krill_logger_relay", "--once")
    assert (result.returncode, result.stdout) == (0, "1 events sent.\n"), result.stderr
    assert len(arrived()) == 1
    assert project.manage("krill_logger_relay", "--once").stdout == "0 events sent.\n"
    assert len(arrived()) == 1


def test_a_relay_that_was_killed_while_it_held_the_lease_is_replaced(project, arrived):
    code = """
import os
from producers.django import relay
relay.wake = lambda using: None
relay.LEASE_SECONDS = 3
Cpe.objects.create(cpename='MARK')
relay._send = lambda *args: os._exit(9)
relay.deliver('default')
"""
    assert project.python(code).returncode == 9
    started = time.monotonic()
    assert project.manage("krill_logger_relay", "--once").stdout == "1 events sent.\n"
    assert time.monotonic() - started < 13
    assert len(arrived()) == 1


def test_a_relay_that_was_killed_before_it_forgot_what_it_sent_sends_nothing_twice(project, arrived):
    code = """
import os
from django.db.models.query import QuerySet
from producers.django import relay
relay.wake = lambda using: None
relay.LEASE_SECONDS = 3
Cpe.objects.create(cpename='MARK-1')
Cpe.objects.create(cpename='MARK-2')
QuerySet.delete = lambda self: os._exit(9)
relay.deliver('default')
"""
    assert project.python(code).returncode == 9
    assert len(arrived()) == project.left() == 2
    project.python("from producers.django import relay\nrelay.wake = print\nCpe.objects.create(cpename='MARK-3')")
    assert project.manage("krill_logger_relay", "--once").stdout == "1 events sent.\n"
    assert project.left() == 0
    assert len(arrived()) == 3


def test_a_rollback_sends_nothing(project, arrived):
    code = """
from django.db import transaction
try:
    with transaction.atomic():
        Cpe.objects.create(cpename='MARK')
        raise RuntimeError
except RuntimeError:
    pass
"""
    assert project.python(code).returncode == 0
    assert project.left() == 0
    assert arrived() == []


def test_events_wait_for_a_broker_that_is_down(project, arrived):
    result = project.python(
        "import time; started = time.monotonic()\n"
        "for i in range(20): Cpe.objects.create(cpename=f'MARK-{i}')\n"
        "print(time.monotonic() - started, time.monotonic())",
        bootstrap="127.0.0.1:1",
    )
    ended = time.monotonic()
    assert result.returncode == 0
    took, done = map(float, result.stdout.split())
    assert took < 5
    assert ended - done < 6, "three seconds for the relay, and none for what the outbox keeps"
    assert project.left() == 20
    failed = project.manage("krill_logger_relay", "--once", "--timeout=2", bootstrap="127.0.0.1:1")
    assert failed.returncode == 1
    assert re.search(r"^CommandError: Not all was sent: .*\.$", failed.stderr, re.MULTILINE)
    assert "Traceback" not in failed.stderr
    assert project.left() == 20
    assert project.manage("krill_logger_relay", "--once").stdout == "20 events sent.\n"
    assert len(arrived()) == 20


def test_an_event_that_kafka_never_takes_stays_and_holds_up_no_other(project, arrived):
    code = """
from producers import kafka
from producers.django import relay
from producers.django.conf import conf
from producers.django.models import OutboxEvent
from tests.krill_project.isp.models import Customer
kafka.configure(**{"bootstrap.servers": conf().BOOTSTRAP, "message.max.bytes": 4000})
relay.wake = lambda using: None
Customer.objects.create(name='MARK large', comment='x' * 8000)
Cpe.objects.create(cpename='MARK small')
for _ in range(2):
    try:
        relay.deliver('default')
    except relay.Undelivered as error:
        print(error)
print(list(OutboxEvent.objects.values_list('tried_ms', flat=True)))
"""
    result = project.python(code)
    assert result.returncode == 0, result.stderr
    first, second, left = result.stdout.splitlines()
    assert first == second
    assert "did not take 1 events" in first
    assert "too large" in first
    assert left == "[None]", "nobody need ask Kafka for it"
    assert b"small" in arrived()[0].value()
    assert project.manage("krill_logger_relay", "--once").stdout == "1 events sent.\n"
    assert len(arrived()) == 2


def test_several_relays_send_each_event_once_and_in_order(project, arrived):
    result = project.python(
        """
from producers.django import relay
relay.wake = lambda using: None
cpe = Cpe.objects.create(cpename='MARK')
for i in range(1500):
    cpe.reboots = i + 1
    cpe.save()
"""
    )
    assert result.returncode == 0, result.stderr
    command = [sys.executable, "-m", "django", "krill_logger_relay", "--once"]
    relays = [
        subprocess.Popen(command, env=project.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    sent = 0
    for relay in relays:
        out, error = relay.communicate(timeout=90)
        assert relay.returncode == 0, error
        sent += int(out.split()[0])
    found = [msgspec.json.decode(message.value(), type=AdminChange) for message in arrived()]
    assert sent == len(found) == 1501
    assert [event.changes[0].new for event in found[1:]] == list(range(1, 1501))
    assert len({event.event_id for event in found}) == 1501


def test_threads_that_write_while_the_relay_reads(project, arrived):
    result = project.python(
        """
import threading
from django.db import connection, transaction
def work(n):
    for i in range(25):
        cpe = Cpe.objects.create(cpename=f'MARK-{n}-{i}')
        with transaction.atomic():
            cpe.postalcode = str(i + 1)
            cpe.save()
    connection.close()
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    )
    assert (result.returncode, result.stderr) == (0, "")
    project.manage("krill_logger_relay", "--once")
    found = [msgspec.json.decode(message.value(), type=AdminChange) for message in arrived()]
    assert len(found) == len({event.event_id for event in found}) == 200
    assert sorted(event.action for event in found) == ["addition"] * 100 + ["change"] * 100


def test_the_relay_runs_until_it_is_told_to_stop(project, arrived):
    relay = subprocess.Popen(
        [sys.executable, "-u", "-m", "django", "krill_logger_relay"],
        env=project.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        code = "import os\nfrom producers.django import relay\nrelay.wake = lambda using: None\n"
        project.python(code + "Cpe.objects.create(cpename='MARK')\nos._exit(0)")
        assert relay.stdout.readline().endswith("1 events sent from 'default'.\n")
        relay.send_signal(signal.SIGTERM)
        assert relay.wait(10) == 0
    finally:
        relay.kill()
        relay.wait()
        relay.stdout.close()
    assert len(arrived()) == 1


def test_parent_and_forked_child_both_publish(project, arrived):
    result = project.python(
        """
import os, sys
from producers import kafka
from producers.django.conf import conf
def publish(text):
    assert kafka.publish(('MARK ' + text).encode(), 'krill.api.requests', 'k', [])
publish('parent before')
pid = os.fork()
publish('child' if pid == 0 else 'parent after')
if pid:
    assert os.waitpid(pid, 0)[1] == 0
"""
    )
    assert (result.returncode, result.stderr) == (0, "")
    found = sorted(message.value().decode() for message in arrived(topics.API_REQUESTS))
    assert found == [f"{project.mark} {text}" for text in ("child", "parent after", "parent before")]


def test_a_request_to_a_real_server_arrives(project, arrived):
    """The middleware below a WSGI server, its events sent when the process ends."""
    result = project.python(
        """
import threading, urllib.error, urllib.request
from wsgiref.simple_server import make_server
from django.core.wsgi import get_wsgi_application
server = make_server('127.0.0.1', 0, get_wsgi_application())
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f'http://127.0.0.1:{server.server_port}/api/'
for path, body in (('view/MARK/', None), ('MARK/', None), ('view/MARK/', b'{bad'), ('view/MARK/', b'{"a": 1}')):
    request = urllib.request.Request(url + path, body, {'Content-Type': 'application/json'})
    try:
        urllib.request.urlopen(request).close()
    except urllib.error.HTTPError as error:
        error.close()
server.shutdown()
server.server_close()
"""
    )
    assert result.returncode == 0, result.stderr
    found = [msgspec.json.decode(message.value()) for message in arrived(topics.API_REQUESTS)]
    assert [event["status_code"] for event in found] == [200, 404, 400, 200]
    assert [event.get("data") for event in found[2:]] == ["{bad", {"a": 1}]


def test_commands_say_what_is_wrong(project):
    result = project.manage("krill_logger_relay", "--once", "--database=nowhere")
    assert result.returncode == 1
    assert result.stderr == "CommandError: There is no database 'nowhere'; DATABASES has default, other.\n"
    assert os.linesep.join(result.stdout.splitlines()) == ""
