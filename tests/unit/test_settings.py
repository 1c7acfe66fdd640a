"""Settings: defaults, errors in one sentence, librdkafka's security properties."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from confluent_kafka import Producer

from schemas.settings import Settings, SettingsError, kafka_variable


def test_defaults() -> None:
    settings = Settings.from_environ({})
    assert (settings.dashboard_port, settings.kafka_port, settings.clickhouse_port, settings.demo_port) == (
        8080, 9092, 8123, 8000,
    )  # fmt: skip
    assert settings.bootstrap == "127.0.0.1:9092"
    assert settings.clickhouse == "http://127.0.0.1:8123"
    assert settings.demo


def test_values_are_parsed() -> None:
    settings = Settings.from_environ(
        {
            "KRILL_LOGGER_DATA": "/srv/logger",
            "KRILL_LOGGER_DEMO": "0",
            "KRILL_LOGGER_KAFKA_BOOTSTRAP": "k1:9093,k2:9093",
            "PATH": "x",
        }
    )
    assert settings.data == Path("/srv/logger")
    assert not settings.demo
    assert settings.bootstrap == "k1:9093,k2:9093"


def test_an_empty_value_is_not_set() -> None:
    assert Settings.from_environ({"KRILL_LOGGER_DASHBOARD_PORT": ""}).dashboard_port == 8080


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DASHBOARD_PORT", "http"),
        ("KAFKA_PORT", "70000"),
        ("DEMO", "maybe"),
        ("TIMEZONE", "Mars/Olympus"),
        ("LANGUAGE", "fr"),
        ("BATCH_SECONDS", "inf"),
    ],
)
def test_a_bad_value_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"KRILL_LOGGER_{name} is '{value}'; expected"):
        Settings.from_environ({f"KRILL_LOGGER_{name}": value})


def test_a_secret_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({"KRILL_LOGGER_CLICKHOUSE_URL": "ftp://u:hunter2@host"})
    assert "hunter2" not in str(caught.value)


def test_an_unknown_variable_is_an_error() -> None:
    with pytest.raises(SettingsError, match="KRILL_LOGGER_KAFKA_BOTSTRAP"):
        Settings.from_environ({"KRILL_LOGGER_KAFKA_BOTSTRAP": "x"})


def test_librdkafka_security_properties() -> None:
    settings = Settings.from_environ(
        {
            "KRILL_LOGGER_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KRILL_LOGGER_KAFKA_SASL_USERNAME": "logger",
            "KRILL_LOGGER_KAFKA_SSL_CA_LOCATION": "/etc/ca.pem",
        }
    )
    assert settings.kafka(group_id="g") == {
        "bootstrap.servers": "127.0.0.1:9092",
        "security.protocol": "SASL_SSL",
        "sasl.username": "logger",
        "ssl.ca.location": "/etc/ca.pem",
        "group.id": "g",
    }


#: One of each kind that librdkafka has.
SECURITY = {
    "security.protocol": "SSL",
    "ssl.key.location": "",
    "ssl.key.password": "x",
    "ssl.endpoint.identification.algorithm": "none",
    "enable.ssl.certificate.verification": "false",
    "sasl.mechanism": "PLAIN",
    "sasl.oauthbearer.token.endpoint.url": "https://login.example/token",
    "enable.sasl.oauthbearer.unsecure.jwt": "false",
    "https.ca.location": str(Path(__file__).parent),
}


def test_every_security_property_of_librdkafka_can_be_set() -> None:
    given = {kafka_variable(name): value for name, value in SECURITY.items()}
    config = Settings.from_environ(given).kafka()
    wanted = {name: value for name, value in SECURITY.items() if value}
    assert config == wanted | {"bootstrap.servers": "127.0.0.1:9092"}
    Producer(config)  # it knows them all


def test_every_setting_has_a_sentence() -> None:
    for setting in fields(Settings):
        if setting.name != "kafka_security":
            assert setting.metadata["doc"]
            assert setting.metadata["expected"]
