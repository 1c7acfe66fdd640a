"""Hands events to Kafka without ever making the caller wait: an append to a bounded queue in memory.

What Kafka does not take goes to a spool on disk, if one is configured, and to Kafka later: see `spooler`.
"""

from __future__ import annotations

import atexit
import ctypes
import threading
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Delivered

from producers import forking, later, readback, refusals
from producers import metrics as catalogue
from producers.counting import count, counters, failed
from producers.resending import Pending
from producers.spool import Message
from producers.spooler import Spooler
from schemas import topics

__all__ = [
    "OnDelivery",
    "close",
    "configure",
    "counters",
    "failed",
    "metrics",
    "present",
    "publish",
    "send",
    "send_spool",
    "start",
]

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
    "linger.ms": 5,
    "message.max.bytes": topics.MAX_MESSAGE_BYTES,
    "queue.buffering.max.messages": 100_000,
    "queue.buffering.max.kbytes": 64 * 1024,
    # For good: as long as librdkafka itself repeats a message, the broker sees that it is the same. A message that
    # timed out may be in Kafka all the same, and nobody can tell.
    "message.timeout.ms": 0,
    "reconnect.backoff.max.ms": 2_000,
    # Errors reach `_on_error`, which reports once a minute instead of a line per attempt on standard error.
    "log_level": 2,
}

#: Longest that the end of a process waits for its queue to empty, in seconds; less if Kafka is known not to answer.
EXIT_SECONDS = 5.0
_EXIT_SECONDS_AWAY = 0.2

#: A background thread that has not run for so long is warned about: below some uWSGI none runs between requests.
STALLED_SECONDS = 5.0

_config: dict[str, Any] = dict(DEFAULTS)
_spool: tuple[Path, int] | None = None
_lock = threading.Lock()
_sender: _Sender | None = None


def configure(spool: Path | None = None, spool_bytes: int = 0, **properties: Any) -> None:
    """Set librdkafka properties (`bootstrap_servers="…"` or `**{"bootstrap.servers": "…"}`).

    A producer that is already running is flushed and replaced, so call this at start-up.

    Args:
        spool: folder in which API events wait while Kafka does not take them; without one they wait in memory only.
        spool_bytes: most that the folder may hold.
    """
    global _config, _spool
    config = DEFAULTS | {name.replace("_", ".") if name != "log_level" else name: v for name, v in properties.items()}
    place = (spool, spool_bytes) if spool is not None and spool_bytes > 0 else None
    if (config, place) != (_config, _spool):
        close()
        _config, _spool = config, place


def publish(value: bytes, topic: str, key: str | bytes, headers: Headers) -> bool:
    """Append a message to the queue; returns at once, whatever state the broker is in.

    Returns:
        False if it was dropped, which `counters()` shows as `dropped_…`.
    """
    try:
        kept = _running().take(Message(topic, key.encode() if isinstance(key, str) else key, value, list(headers)))
    except BufferError:
        failed("dropped_queue_full", "the queue to Kafka is full")
    except KafkaException as error:
        too_large = error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
        failed("dropped_too_large" if too_large else "dropped_error", refusals.sentence(error.args[0]))
    except Exception as error:
        failed("dropped_error", repr(error))
    else:
        if kept:
            count("queued")
        return kept
    return False


def send(value: bytes, topic: str, key: str | bytes, headers: Headers, on_delivery: OnDelivery) -> None:
    """Append a message to the queue, for a caller that keeps it until Kafka has it: it never goes to the spool.

    Raises:
        BufferError: the queue is full; it may be tried again.
        KafkaException: librdkafka does not take this message, or refuses its configuration.
    """
    report = partial(_report, on_delivery)
    _running().producer.produce(topic, value, key, headers=list(headers), on_delivery=report)
    count("queued")


def start() -> None:
    """Send what processes that died left in the spool, from now on, also before anything is published.

    Raises:
        KafkaException: librdkafka refuses its configuration.
    """
    _running()


def send_spool(seconds: float) -> bool:
    """Wait until all that lies in the spool, and has no living owner, is in Kafka; at most `seconds`. False if not.

    Raises:
        KafkaException: librdkafka refuses its configuration.
    """
    spooler = _running().spooler
    if spooler is None:
        return True
    spooler.rescan()
    return spooler.idle.wait(seconds)


def metrics() -> str:
    """What has happened to the events of all processes that share the spool, in Prometheus' text format."""
    return catalogue.text(*(_spool or (None, 0)))


def present(topic: str, since_ms: int, ids: Collection[bytes]) -> set[bytes]:
    """See `readback.present`."""
    return _running().present(topic, since_ms, ids)


def close(seconds: float = EXIT_SECONDS) -> int:
    """Send what is queued, for at most `seconds`, put the rest into the spool, and stop. Never call this in a request.

    What `later` has left to do is done before. Nothing is waited for that its caller keeps (see `send`).

    Returns:
        How many messages could be neither sent nor kept, and are lost.
    """
    global _sender
    later.finish()
    with _lock:
        sender, _sender = _sender, None
    return 0 if sender is None else sender.close(seconds)


class _Sender:
    """The producer of one process, and its spool."""

    def __init__(self) -> None:
        self.config = dict(_config)
        self.pending: dict[Pending, None] = {}
        self.closed = False
        self.producer = Producer({**self.config, "error_cb": self._on_error})
        self.spooler: Spooler | None = None
        self._answered = float("-inf")
        self._served = time.monotonic()
        threading.Thread(target=self._serve, name="krill-logger-kafka", daemon=True).start()
        if _spool is not None:
            self.spooler = Spooler(self, *_spool, bootstrap=self.config["bootstrap.servers"])
            self.spooler.start()

    def take(self, message: Message) -> bool:
        """To Kafka's queue, or to the spool. False if it was dropped."""
        if (stalled := time.monotonic() - self._served) > STALLED_SECONDS:
            failed("threads_stalled", f"threads stood still for {stalled:.0f} s; uWSGI needs enable-threads = true")
        spooler = self.spooler
        if spooler is None:
            self._produce(Pending(message))
            return True
        if not spooler.away:
            try:
                self._produce(Pending(message))
                return True
            except BufferError:
                pass
        return spooler.keep(message)

    def hand_over(self, pending: Pending) -> None:
        try:
            self._produce(pending)
        except KafkaException as error:
            if error.args[0].code() not in refusals.OF_THE_MESSAGE:
                raise
            # It went to the disk unseen while Kafka was away; tried for ever, it would hold up all behind it.
            failed("dropped_too_large", refusals.sentence(error.args[0], pending.message.topic))
            if self.spooler is not None:
                self.spooler.settled(pending)

    def _produce(self, pending: Pending) -> None:
        message = pending.message
        self.pending[pending] = None
        try:
            self.producer.produce(
                message.topic,
                message.value,
                message.key,
                headers=message.headers,  # type: ignore[arg-type]  # a list of pairs with bytes is one
                on_delivery=partial(self._report, pending),
            )
        except BaseException:
            del self.pending[pending]
            raise

    def answers(self, topic: str) -> bool:
        if time.monotonic() - self._answered < 1.0:
            return True
        try:
            error = self.producer.list_topics(topic, 1.0).topics[topic].error
        except KafkaException as failure:
            error = failure.args[0]
        if error is not None:
            failed("broker_errors", refusals.sentence(error, topic))
        return error is None

    def present(self, topic: str, since_ms: int, ids: Collection[bytes]) -> set[bytes]:
        return readback.present(self.config, topic, since_ms, ids)

    def close(self, seconds: float) -> int:
        until = time.monotonic() + seconds
        while self.pending and time.monotonic() < until:  # what else is queued lies in an outbox, too
            if self.spooler is not None and self.spooler.away:
                until = min(until, time.monotonic() + _EXIT_SECONDS_AWAY)
            self.producer.flush(0.05)
        self.closed = True
        lost = self.spooler.close() if self.spooler is not None else len(self.pending)
        if lost:
            failed("dropped_at_exit", "events were still queued when the process ended, and are lost", lost)
        if self.spooler is not None:
            self.spooler.write_counters()
        if len(self.producer):
            self.producer.purge()
            self.producer.flush(0)
        return lost

    def _serve(self) -> None:
        while not self.closed:
            self._served = time.monotonic()
            try:
                self.producer.poll(0.2)
            except KafkaException as error:  # fatal ones are raised here, and not given to the callback
                self._on_error(error.args[0])
                time.sleep(0.2)

    def _report(self, pending: Pending, error: KafkaError | None, _message: Delivered) -> None:
        self.pending.pop(pending, None)
        spooler = self.spooler
        if error is None:
            self._answered = time.monotonic()
            count("delivered")
            if spooler is not None:
                spooler.acknowledged(pending)
            return
        if self.closed:  # purged; the spool has it, or `close` has counted it
            return
        topic = pending.message.topic
        if error.code() in refusals.OF_THE_MESSAGE:
            failed("dropped_refused", refusals.sentence(error, topic))
            if spooler is not None:
                spooler.settled(pending)
            return
        failed("delivery_failed", refusals.sentence(error, topic))
        if spooler is not None:
            spooler.refused(pending, in_doubt=error.code() not in refusals.OF_THE_TOPIC)

    def _on_error(self, error: KafkaError) -> None:
        if self.closed:
            return
        failed("broker_errors", refusals.sentence(error))
        if error.fatal():
            # An idempotent producer that lost its sequence never sends again: the next event makes a new one.
            threading.Thread(target=_replace, args=(self,), daemon=True).start()


def _report(on_delivery: OnDelivery, error: KafkaError | None, _message: Delivered) -> None:
    count("delivered" if error is None else "delivery_failed")
    on_delivery(error)


def _running() -> _Sender:
    """This process's sender, made on first use."""
    global _sender
    forking.check()
    sender = _sender
    if sender is None:
        with _lock:
            sender = _sender
            if sender is None:
                sender = _sender = _Sender()
    return sender


def _replace(sender: _Sender) -> None:
    global _sender
    with _lock:
        if _sender is not sender:
            return
        _sender = None
    sender.close(0)


def _forget_after_fork() -> None:
    """librdkafka's threads do not survive a fork: the child makes its own producer and never frees its parent's."""
    global _lock, _sender
    _lock = threading.Lock()
    if _sender is not None:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(_sender.producer))
        if _sender.spooler is not None:
            _sender.spooler.forget()
        _sender = None


forking.after_fork(_forget_after_fork)
atexit.register(close)
