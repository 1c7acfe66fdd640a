"""Apache Kafka with TLS, passwords and rights: the whole road over it, and one sentence for each way to be refused."""

from __future__ import annotations

import datetime as dt
import logging
import os
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from deploy.cli import main
from deploy.embedded import kafka as embedded
from deploy.embedded import secure
from deploy.embedded.death import die_with_parent
from deploy.embedded.errors import StartError
from deploy.reach import visible_topics
from deploy.topics import create_topics
from producers import counting
from producers import kafka as producer
from schemas import topics
from schemas.settings import Settings, kafka_variable
from tests.conftest import Database, free_port
from tests.integration.test_worker import request

PASSWORD = "not the same for all"
SECONDS = 60.0

#: What docs/operating.md says that each part needs.
WORKER = [
    *((ResourceType.TOPIC, name, AclOperation.READ) for name in topics.TOPICS),
    (ResourceType.TOPIC, topics.DEAD_LETTERS, AclOperation.WRITE),
    (ResourceType.GROUP, "krill-logger", AclOperation.READ),
    (ResourceType.GROUP, "krill-logger-reader", AclOperation.READ),
]
MIGRATE = [
    (ResourceType.TOPIC, name, operation)
    for name in topics.TOPICS
    for operation in (
        AclOperation.CREATE,
        AclOperation.DESCRIBE,
        AclOperation.DESCRIBE_CONFIGS,
        AclOperation.ALTER_CONFIGS,
    )
]
PRODUCER = [(ResourceType.TOPIC, name, AclOperation.WRITE) for name in (topics.API_REQUESTS, topics.ADMIN_CHANGES)]


@dataclass(frozen=True)
class Broker:
    """What `krill-logger kafka --secure` printed, where its certificate has expired, and its folder."""

    environ: dict[str, str]
    expired: str
    home: Path

    def settings(self, **more: str) -> Settings:
        return Settings.from_environ(self.environ | {f"KRILL_LOGGER_{name}": value for name, value in more.items()})


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker, with topics, a user for each part with the least rights, and `nobody`, who has none."""
    embedded.fetch()
    folder, port = tmp_path_factory.mktemp("secure"), free_port()
    said = folder / "said"
    with said.open("wb") as output, (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.secure_broker", str(port)],
            env=plain_environ() | {"KRILL_LOGGER_DATA": str(folder), "KRILL_LOGGER_KAFKA_PORT": str(free_port())},
            stdout=output,
            stderr=log,
            preexec_fn=die_with_parent,
        )
    try:
        deadline = time.monotonic() + SECONDS
        while "SSL_CA" not in said.read_text() or "Kafka Server started" not in said.read_text():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.1)
        exports = "\n".join(line for line in said.read_text().splitlines() if line.startswith("export "))
        # As a person uses it: in a shell.
        done = subprocess.run(["sh", "-c", f"{exports}\nenv"], env={}, capture_output=True, text=True, check=True)
        lines = (line.partition("=") for line in done.stdout.splitlines() if line.startswith("KRILL_LOGGER_"))
        made = Broker({name: value for name, _, value in lines}, f"127.0.0.1:{port}", folder / "kafka-secure")
        make_users(made.settings())
        assert create_topics(made.settings(**as_user("migrate"))) == list(topics.TOPICS)
        yield made
    finally:
        process.kill()
        process.wait()


def plain_environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("KRILL_LOGGER_")}


def make_users(settings: Settings) -> None:
    admin = AdminClient(settings.kafka())
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    users = {"worker": WORKER, "migrate": MIGRATE, "producer": PRODUCER, "nobody": []}
    for future in admin.alter_user_scram_credentials(
        [UserScramCredentialUpsertion(user, info, PASSWORD.encode()) for user in users]
    ).values():
        future.result(20)
    bindings = [
        AclBinding(kind, name, ResourcePatternType.LITERAL, f"User:{user}", "*", operation, AclPermissionType.ALLOW)
        for user, rights in users.items()
        for kind, name, operation in rights
    ]
    for future in admin.create_acls(bindings).values():
        future.result(20)


def as_user(name: str) -> dict[str, str]:
    """Settings of a user that `make_users` made."""
    return {"KAFKA_SASL_USERNAME": name, "KAFKA_SASL_PASSWORD": PASSWORD}


@pytest.fixture
def refused(broker: Broker, tmp_path: Path) -> dict[str, tuple[dict[str, str], str]]:
    """Ways to be refused: the settings, and what is said of them."""
    other = tmp_path / "other.pem"
    other.write_bytes(secure.make_authority()[1])
    return {
        "wrong password": (
            {"KAFKA_SASL_PASSWORD": "geheim"},
            "Kafka refuses the login: check KRILL_LOGGER_KAFKA_SASL_MECHANISM, KRILL_LOGGER_KAFKA_SASL_USERNAME and "
            "KRILL_LOGGER_KAFKA_SASL_PASSWORD",
        ),
        "expired certificate": (
            {"KAFKA_BOOTSTRAP": broker.expired},
            f"The certificate of the Kafka broker at {broker.expired} has expired: renew it on the broker.",
        ),
        "unknown authority": (
            {"KAFKA_SSL_CA_LOCATION": str(other)},
            "KRILL_LOGGER_KAFKA_SSL_CA_LOCATION must name the authority that signed it.",
        ),
        "missing topic": (
            as_user("nobody"),
            "shows no topic krill.admin.changes, krill.api.requests, krill.logger.dead-letters: run krill-logger migr",
        ),
    }


WAYS = ["wrong password", "expired certificate", "unknown authority", "missing topic"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", ["worker", "verify", "migrate", "status"])
def test_a_refusal_is_one_sentence(
    broker: Broker,
    tmp_path: Path,
    refused: Any,
    command: str,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    given, sentence = refused[way]
    if (command, way) == ("migrate", "missing topic"):
        sentence = "does not let nobody make the topics or read their settings"
    elif (command, way) == ("status", "missing topic"):
        sentence = "there is no topic krill.api.requests"
    ports = {f"{server}_PORT": str(free_port()) for server in ("WORKER", "CLICKHOUSE", "DASHBOARD")}
    given = {f"KRILL_LOGGER_{name}": value for name, value in (given | ports | {"DATA": str(tmp_path)}).items()}
    for name, value in (broker.environ | given).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["krill-logger", command])
    capfd.readouterr()
    with pytest.raises(SystemExit) as end:
        main()
    said, errors = capfd.readouterr()
    if command == "status":
        assert (end.value.code, errors) == (3, "")
        [line] = [line for line in said.splitlines() if line.startswith("Kafka ")]
    else:
        # The interpreter prints a text as the last word, and makes it exit code 1.
        assert (said, errors) == ("", "")
        line = str(end.value.code)
        assert line.startswith("Error: ")
        assert len(line.splitlines()) == 1
    assert sentence in line
    assert "geheim" not in said + line


@pytest.fixture
def published(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Publishes an event as Krill does, and returns what is logged until Kafka has it or refuses."""
    monkeypatch.setattr(counting, "_counters", {})
    monkeypatch.setattr(counting, "_warned", {})

    def publish(settings: Settings, user: str = "ana") -> str:
        caplog.clear()
        producer.configure(**settings.kafka())
        with caplog.at_level(logging.WARNING, "producers"):
            assert producer.publish(request(user=user), topics.API_REQUESTS, user, [])
            deadline = time.monotonic() + SECONDS
            while not caplog.messages and not producer.counters().get("delivered"):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        return "\n".join(caplog.messages)

    yield publish
    producer.close(0)
    producer.configure()


@pytest.mark.parametrize(
    ("way", "sentence"),
    [
        ("wrong password", "Kafka refuses the login: check sasl.mechanism, sasl.username and sasl.password"),
        ("expired certificate", "the certificate of the Kafka broker has expired, or ssl.ca.location does not name"),
        ("unknown authority", "the certificate of the Kafka broker has expired, or ssl.ca.location does not name"),
        ("missing topic", "Kafka does not let this user write to"),
    ],
)
def test_a_producer_says_why_it_is_refused(
    broker: Broker, refused: Any, published: Callable[..., str], way: str, sentence: str
) -> None:
    logged = published(broker.settings(**refused[way][0]))
    assert sentence in logged
    assert "geheim" not in logged
    assert "Traceback" not in logged


def test_the_whole_road_by_users_with_the_least_rights(
    broker: Broker, clickhouse: str, database: Database, tmp_path: Path, published: Callable[..., str]
) -> None:
    settings = broker.settings(DATA=str(tmp_path), CLICKHOUSE_URL=clickhouse, CLICKHOUSE_DATABASE=database.name)
    given = {
        "KRILL_LOGGER_DATA": str(tmp_path),
        "KRILL_LOGGER_CLICKHOUSE_URL": clickhouse,
        "KRILL_LOGGER_CLICKHOUSE_DATABASE": database.name,
        "KRILL_LOGGER_WORKER_PORT": str(free_port()),
        kafka_variable("sasl.username"): "worker",
        kafka_variable("sasl.password"): PASSWORD,
    }
    environ = plain_environ() | broker.environ | given
    user = uuid.uuid4().hex
    assert published(broker.settings(**as_user("producer")), user) == ""
    direct = Producer(settings.kafka())
    direct.produce(topics.API_REQUESTS, b"bad")
    assert direct.flush(30) == 0
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", "worker"],
            env=environ, stdout=log, stderr=log, preexec_fn=die_with_parent,
        )  # fmt: skip

    def count(sql: str) -> int:
        return int(database.client.query(sql, parameters={"user": user}).result_rows[0][0])

    try:
        deadline = time.monotonic() + SECONDS
        while not (
            count("SELECT count() FROM api_requests WHERE user = {user:String}") == 1
            and count("SELECT count() FROM dead_letters FINAL WHERE value = 'bad'") == 1
        ):
            assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()
            time.sleep(0.2)
    finally:
        worker.terminate()
        worker.wait(30)
    verified = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "verify"], env=environ, capture_output=True, text=True, check=False
    )
    assert "Every message is stored once" in verified.stdout, verified


def test_what_is_secret_is_the_owners_alone(broker: Broker) -> None:
    folder = broker.home / "secure"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("password", "ca.key", "server.pem"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    password = (folder / "password").read_text()
    assert len(password) > 20
    assert broker.environ[kafka_variable("sasl.password")] == password
    said = (broker.home.parent / "said").read_text() + (broker.home / "server.properties").read_text()
    assert password not in said


def test_nobody_gets_in_beside_the_door(broker: Broker) -> None:
    """The listeners of the node itself take its own certificate only."""
    lines = (broker.home / "server.properties").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if "=" in line)
    ports = [
        listener.rpartition(":")[2]
        for listener in given["listeners"].split(",")
        if listener.startswith(("NODE:", "CONTROLLER:"))
    ]
    assert len(ports) == 2
    for port in ports:
        for protocol in ("PLAINTEXT", "SSL", "SASL_SSL"):
            settings = broker.settings(KAFKA_BOOTSTRAP=f"127.0.0.1:{port}", KAFKA_SECURITY_PROTOCOL=protocol)
            with pytest.raises((KafkaException, StartError), match=r"code=_TRANSPORT|^TLS with Kafka failed"):
                visible_topics(settings, 1)


def test_a_given_password_is_taken_once_and_the_authority_stays(tmp_path: Path) -> None:
    home = tmp_path / "kafka-secure"
    given = Settings(kafka_security=(("sasl.password", "a given one"),))
    secure.prepare(given, home)
    authority, server = ((home / "secure" / name).read_bytes() for name in ("ca.pem", "server.pem"))
    secure.prepare(given, home)
    secure.prepare(Settings(), home)
    assert (home / "secure" / "password").read_text() == "a given one"
    assert (home / "secure" / "ca.pem").read_bytes() == authority
    assert (home / "secure" / "server.pem").read_bytes() != server
    with pytest.raises(StartError, match=r"KRILL_LOGGER_KAFKA_SASL_PASSWORD is \*\*\* and not") as caught:
        secure.prepare(Settings(kafka_security=(("sasl.password", "another one"),)), home)
    assert "another one" not in str(caught.value)
    with pytest.raises(StartError, match="The user of the embedded Kafka is krill-logger"):
        secure.prepare(Settings(kafka_security=(("sasl.username", "ana"),)), home)


def test_a_certificate_says_for_how_long_it_is_valid(tmp_path: Path) -> None:
    from cryptography import x509

    secure.prepare(Settings(), tmp_path)
    certificate = x509.load_pem_x509_certificate((tmp_path / "secure" / "server.pem").read_bytes())
    left = certificate.not_valid_after_utc - dt.datetime.now(dt.UTC)
    assert left.days in (secure.SERVER_DAYS - 1, secure.SERVER_DAYS)
