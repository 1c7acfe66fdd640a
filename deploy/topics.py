"""Makes the Kafka topics of `schemas.topics`, on the embedded broker or on a real cluster."""

from __future__ import annotations

import time

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the package does not say what it exports
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from schemas.settings import Settings
from schemas.topics import TOPICS

#: Seconds a request to the brokers may take.
TIMEOUT = 15.0


def create_topics(settings: Settings) -> list[str]:
    """Make the topics that are missing, and raise `max.message.bytes` where it is lower than the events need.

    Safe to run twice and from several processes at once.

    Returns:
        The names of the topics that were made.

    Raises:
        KafkaException: the brokers cannot be reached or refuse.
    """
    admin = AdminClient({**settings.kafka(), "log_level": 0})
    existing = admin.list_topics(timeout=TIMEOUT).topics
    made = []
    missing = [
        NewTopic(
            name,
            num_partitions=settings.partitions,
            replication_factor=settings.replication,
            config={"max.message.bytes": str(size)},
        )
        for name, size in TOPICS.items()
        if name not in existing
    ]
    if missing:
        for name, future in admin.create_topics(missing, operation_timeout=TIMEOUT).items():
            try:
                future.result(TIMEOUT)
                made.append(name)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
    _raise_limits(admin)
    return made


def _raise_limits(admin: AdminClient) -> None:
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return _raise_limits_once(admin)
        except KafkaException as error:
            # A broker hears of a topic only after it was made.
            unknown = error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
            if not unknown or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _raise_limits_once(admin: AdminClient) -> None:
    described = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in TOPICS])
    changes = []
    for resource, future in described.items():
        entry = future.result(TIMEOUT)["max.message.bytes"]
        wanted = TOPICS[resource.name]
        if int(entry.value) < wanted:
            change = ConfigEntry("max.message.bytes", str(wanted), incremental_operation=AlterConfigOpType.SET)
            changes.append(ConfigResource(ResourceType.TOPIC, resource.name, incremental_configs=[change]))
    if changes:
        for future in admin.incremental_alter_configs(changes).values():
            future.result(TIMEOUT)
