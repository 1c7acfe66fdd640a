"""Hands events to Kafka without ever making the caller wait: an append to librdkafka's bounded memory queue."""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas import topics

logger = logging.getLogger(__name__)

#: Called once per accepted message from the delivery thread, with what went wrong or None once the broker has it.
#: It must neither block nor raise.
OnDelivery = Callable[[KafkaError | None], None]
Headers = Sequence[tuple[str, bytes]]

#: librdkafka properties; `configure` adds to them and overrides them.
DEFAULTS: dict[str, Any] = {
    "bootstrap.servers": "127.0.0.1:9092",
    "client.id": "krill-logger-producer",
    "acks": "all",
    "enable.idempotence": True,
    "compression.type": "lz4",
    "linger.ms": 20,
    "message.max.bytes": topics.MAX_MESSAGE_BYTES,
    "queue.buffering.max.messages": 100_000,
    "queue.buffering.max.kbytes": 64 * 1024,
    "message.timeout.ms": 120_000,
    # Errors reach `_on_error`, which reports once a minute instead of a line per attempt on standard error.
    "log_level": 2,
}

#: Longest that the end of a process waits for its queue to empty, in seconds.
EXIT_SECONDS = 5.0

_WARN_EVERY = 60.0

_config: dict[str, Any] = dict(DEFAULTS)
_lock = threading.Lock()
_producer: Producer | None = None
_counters: dict[str, int] = {}
_warned: dict[str, float] = {}


def configure(**properties: Any) -> None:
    """Set librdkafka properties (`bootstrap_servers="…"` or `**{"bootstrap.servers": "…"}`).

    A producer that is already running is flushed and replaced, so call this at start-up.
    """
    global _config
    config = DEFAULTS | {name.replace("_", ".") if name != "log_level" else name: v for name, v in properties.items()}
    if config != _config:
        close()
        _config = config


def publish(
    value: bytes,
    topic: str,
    key: str | bytes,
    headers: Headers,
    on_delivery: OnDelivery | None = None,
) -> bool:
    """Append a message to the queue; returns at once, whatever state the broker is in.

    Returns:
        False if it was dropped, which `counters()` shows as `dropped_queue_full`, `dropped_too_large` or
        `dropped_error`; `on_delivery` is not called then.
    """
    try:
        _running().produce(
            topic,
            value,
            key,
            headers=list(headers),
            on_delivery=_report if on_delivery is None else _reporting(on_delivery),
        )
    except BufferError:
        failed("dropped_queue_full", "the queue to Kafka is full")
    except KafkaException as error:
        too_large = error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
        failed("dropped_too_large" if too_large else "dropped_error", str(error.args[0].str()))
    except Exception as error:
        failed("dropped_error", repr(error))
    else:
        _count("queued")
        return True
    return False


def counters() -> dict[str, int]:
    """What has happened in this process so far: `queued`, `delivered`, `delivery_failed`, `dropped_…`, `…_errors`."""
    return dict(_counters)


def failed(reason: str, text: str) -> None:
    """Count `reason`, and warn about it, yet at most once a minute."""
    _count(reason)
    now = time.monotonic()
    if now - _warned.get(reason, -_WARN_EVERY) >= _WARN_EVERY:
        _warned[reason] = now
        logger.warning("Krill Logger: %s (%s, %d so far)", text, reason, _counters.get(reason, 0))


def close(seconds: float = EXIT_SECONDS) -> int:
    """Send what is queued, for at most `seconds`, and stop. Never call this in a request.

    Returns:
        How many messages could not be sent and are lost.
    """
    global _producer
    with _lock:
        producer, _producer = _producer, None
    if producer is None:
        return 0
    left = int(producer.flush(seconds))
    if left:
        _count("dropped_at_exit", left)
        logger.warning("Krill Logger: %d events were still queued when the process ended", left)
        producer.purge()
        producer.flush(0)
    return left


def _count(name: str, by: int = 1) -> None:
    # Not locked: losing one of two increments at the very same moment is cheaper than a lock in every request.
    _counters[name] = _counters.get(name, 0) + by


def _running() -> Producer:
    """This process's producer, made on first use."""
    global _producer
    producer = _producer
    if producer is None:
        with _lock:
            producer = _producer
            if producer is None:
                producer = _producer = Producer({**_config, "error_cb": _on_error})
                threading.Thread(target=_serve, args=(producer,), name="krill-logger-kafka", daemon=True).start()
    return producer


def _serve(producer: Producer) -> None:
    while producer is _producer:
        producer.poll(0.5)


def _report(error: KafkaError | None, message: Message) -> None:
    """Delivery report of an event that nobody else keeps: here a spool on disk can take it over."""
    if error is None:
        _count("delivered")
    elif error.code() != KafkaError._PURGE_QUEUE:  # that is `close`, which has counted it
        failed("delivery_failed", f"Kafka did not take an event for {message.topic()}: {error.str()}")


def _reporting(on_delivery: OnDelivery) -> Callable[[KafkaError | None, Message], None]:
    def report(error: KafkaError | None, _message: Message) -> None:
        _count("delivered" if error is None else "delivery_failed")
        on_delivery(error)

    return report


def _on_error(error: KafkaError) -> None:
    failed("broker_errors", f"Kafka: {error.str()}")


def _forget_after_fork() -> None:
    """librdkafka's threads do not survive a fork: the child makes its own producer and never frees its parent's."""
    global _lock, _producer
    _lock = threading.Lock()
    if _producer is not None:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(_producer))
        _producer = None
    _counters.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
atexit.register(close)
