"""Whether Kafka lets us in and what it shows us, with one clear sentence where it does not."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from deploy.embedded.errors import StartError
from schemas import refusals
from schemas.settings import Settings, kafka_variable
from schemas.topics import TOPICS

#: Seconds for Kafka to answer.
TIMEOUT = 15.0


def visible_topics(settings: Settings, seconds: float = TIMEOUT, absent: float | None = None) -> dict[str, list[int]]:
    """The partitions of every topic that this user may see.

    Args:
        seconds: longest to wait for an answer.
        absent: longest to wait where no broker takes the connection; as long if it is not given.

    Raises:
        StartError: Kafka refuses us, or we it; known within a second.
        KafkaException: no answer in time, which may change by itself. It tells what became of the connection.
    """
    errors: dict[int, KafkaError] = {}
    config: dict[str, Any] = {**settings.kafka(), "log_level": 0}
    client = AdminClient(config | {"error_cb": lambda error: errors.setdefault(error.code(), error)})
    started = time.monotonic()
    while True:
        try:
            return {name: list(topic.partitions) for name, topic in client.list_topics(timeout=1).topics.items()}
        except KafkaException as error:
            client.poll(0)
            for lasting in filter(refusals.is_lasting, errors.values()):
                raise StartError(sentence(lasting, settings)) from error
            if absent is not None and KafkaError._ALL_BROKERS_DOWN in errors:
                seconds = absent
            if time.monotonic() - started > seconds:
                failure = error.args[0]
                raise KafkaException(errors.get(failure.code(), failure)) from error


def check_topics(settings: Settings, seconds: float = TIMEOUT) -> None:
    """See that the topics are there.

    Raises:
        StartError: they are not, or this user may not see them, or Kafka refuses the connection.
        KafkaException: no answer in time.
    """
    missing = TOPICS.keys() - visible_topics(settings, seconds)
    if missing:
        raise StartError(
            f"Kafka at {settings.bootstrap} shows no topic {', '.join(sorted(missing))}: run krill-logger migrate with "
            "a user who may make it, or give this one the right Describe."
        )


def sentence(error: KafkaError, settings: Settings, what: str = "") -> str:
    """What Kafka refuses, as one sentence.

    Args:
        what: what was asked for, such as `make the topic krill.api.requests`.
    """
    if refusals.is_untrusted(error) and (text := _certificate(settings)):
        return text
    code, text = error.code(), error.str()
    if code in (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    ):
        user = dict(settings.kafka_security).get("sasl.username", "this user")
        kind = {KafkaError.TOPIC_AUTHORIZATION_FAILED: "topics", KafkaError.GROUP_AUTHORIZATION_FAILED: "groups"}
        asked = what or f"use the {kind.get(code, 'cluster')} that are needed"
        return f"Kafka at {settings.bootstrap} does not let {user} {asked}: docs/operating.md lists the needed rights."
    known = refusals.sentence(error, kafka_variable)
    if known is not None:
        return f"{known[0].upper()}{known[1:]}."
    return f"Kafka at {settings.bootstrap} cannot be used: {text}."


def _certificate(settings: Settings) -> str:
    """OpenSSL's own word on the brokers' certificates, which librdkafka does not pass on; empty if there is none."""
    authority = dict(settings.kafka_security).get("ssl.ca.location", "")
    folder = Path(authority).is_dir()
    context = ssl.create_default_context(
        cafile=authority if authority and not folder else None, capath=authority if folder else None
    )
    for broker in settings.bootstrap.split(","):
        host, _, port = broker.strip().rpartition(":")
        try:
            with (
                socket.create_connection((host.strip("[]"), int(port)), 3) as plain,
                context.wrap_socket(plain, server_hostname=host.strip("[]")),
            ):
                pass
        except ssl.SSLCertVerificationError as error:
            reason = error.verify_message.rstrip(".")
            if "expired" in reason:
                return f"The certificate of the Kafka broker at {broker} has expired: renew it on the broker."
            return (
                f"The certificate of the Kafka broker at {broker} is not trusted ({reason}): "
                f"{kafka_variable('ssl.ca.location')} must name the authority that signed it."
            )
        except (OSError, ValueError):
            continue
    return ""
