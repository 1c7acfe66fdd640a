"""librdkafka's errors in one sentence that says what to do."""

from __future__ import annotations

from confluent_kafka import KafkaError

from schemas import refusals

#: A message that gets one of these is never taken, however often it is sent.
OF_THE_MESSAGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG})

#: Errors that say for sure that the message is not in the log.
OF_THE_TOPIC = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)


def sentence(error: KafkaError, topic: str = "") -> str:
    """What went wrong and what to do about it. It holds no secret: librdkafka's own text names no password."""
    if known := refusals.sentence(error):
        return known
    text = error.str()
    code = error.code()
    where = f"the topic {topic}" if topic else "a topic"
    if code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
        return f"{where} does not exist in Kafka, and producers do not make topics: run krill-logger migrate"
    if code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED):
        return f"Kafka does not let this user write to {where}: give it the rights Write and Describe"
    if code in OF_THE_MESSAGE:
        return f"Kafka takes no event like this for {where}, and it is lost ({text})"
    if topic:
        return f"Kafka did not take an event for {where} ({text})"
    return f"Kafka: {text}"
