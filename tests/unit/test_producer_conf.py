"""The setting KRILL_LOGGER is checked by Django's own check framework."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import pytest

from tests.krill_project import running

running.set_up()

from django.core.checks import run_checks  # noqa: E402
from django.test.utils import override_settings  # noqa: E402

from producers.django.conf import Conf, conf  # noqa: E402


def ours() -> list:
    return [message for message in run_checks() if message.id.startswith("krill_logger.")]


def test_the_projects_own_setting_is_fine():
    assert ours() == []


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"MODLES": []}, "unknown key 'MODLES'"),
        ({"MODELS": ["isp.Nothing"]}, "'isp.Nothing', which does not exist"),
        ({"MODELS": ["nonsense"]}, "'nonsense', which does not exist"),
        ({"MODELS": "isp.Cpe"}, "KRILL_LOGGER['MODELS'] is a str"),
        ({"MODELS": [1]}, "expected a list of text"),
        ({"TRUSTED_PROXIES": -1}, "a number of proxies, 0 or more"),
        ({"TRUSTED_PROXIES": True}, "a number of proxies, 0 or more"),
        ({"MAX_BODY_BYTES": 10}, "1024 or more"),
        ({"BOOTSTRAP": None}, "expected text"),
        ({"SPOOL": 5}, "expected a folder"),
        ({"SPOOL_BYTES": -1}, "a number of bytes, 0 or more"),
        ({"KAFKA": "secret-words"}, "a dict of librdkafka properties"),
        (["BOOTSTRAP"], "must be a dict"),
    ],
)
def test_what_is_wrong_is_said_and_the_rest_still_works(given, text):
    with override_settings(KRILL_LOGGER=given):
        (message,) = ours()
        assert text in str(message)
        assert "secret-words" not in str(message)
        assert isinstance(conf(), Conf)
        assert conf().MAX_BODY_BYTES == Conf.MAX_BODY_BYTES


def test_the_spool_has_a_place_that_outlives_a_restart(monkeypatch, tmp_path):
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Conf().spool() == tmp_path / ".local/state/krill-logger"
    monkeypatch.setenv("HOME", "/nonexistent")
    assert Conf().spool() == Path(f"/var/tmp/krill-logger-{os.geteuid()}")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert Conf().spool() == Path("/state/krill-logger")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/krill:/var/lib/more")
    assert Conf().spool() == Path("/var/lib/krill/krill-logger")
    assert Conf(SPOOL="/elsewhere").spool() == Conf(SPOOL=Path("/elsewhere")).spool() == Path("/elsewhere")


def test_kafka_is_set_up_by_the_environment_as_far_as_the_setting_says_nothing(monkeypatch):
    for name, value in {
        "KAFKA_BOOTSTRAP": "kafka1:9093",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_USERNAME": "krill",
        "DATA": "/elsewhere",
        "OF_SOMEBODY_ELSE": "1",
    }.items():
        monkeypatch.setenv(f"KRILL_LOGGER_{name}", value)
    expected = {"bootstrap.servers": "kafka1:9093", "security.protocol": "SASL_SSL", "sasl.username": "krill"}
    assert Conf().librdkafka() == expected
    given = Conf(BOOTSTRAP="other:9092", KAFKA={"sasl.username": "ana", "linger.ms": 5}).librdkafka()
    assert given == expected | {"bootstrap.servers": "other:9092", "sasl.username": "ana", "linger.ms": 5}
    assert ours() == []


def test_a_variable_of_kafka_that_does_not_exist_is_told_of(monkeypatch):
    monkeypatch.setenv("KRILL_LOGGER_KAFKA_SALS_USERNAME", "krill")
    (message,) = ours()
    assert "KRILL_LOGGER_KAFKA_SALS_USERNAME: no such setting" in str(message)
    assert Conf().librdkafka() == {"bootstrap.servers": "127.0.0.1:9092"}


def test_every_key_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "django.md").read_text()
    for item in fields(Conf):
        assert f"| `{item.name}` |" in page
