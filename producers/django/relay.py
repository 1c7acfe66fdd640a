"""Takes committed events from the outbox to Kafka: in order, one process at a time, removed once Kafka has them."""

from __future__ import annotations

import atexit
import datetime as dt
import math
import os
import queue
import socket
import threading
import time
import uuid

import msgspec
from confluent_kafka import KafkaError, KafkaException
from django.db import DatabaseError, connections
from django.db.models import DateTimeField, ExpressionWrapper, Q, Value
from django.db.models.functions import Now

from producers import forking, kafka
from producers.django.conf import conf
from producers.django.models import OutboxEvent, RelayLease
from producers.refusals import OF_THE_MESSAGE
from schemas.events import AdminChange

#: How long a process that died holds the others back, in seconds.
LEASE_SECONDS = 10

#: Longest that the end of a process waits for what it still relays, in seconds.
EXIT_SECONDS = 3.0

_BATCH = 500
_RETRY_SECONDS = (1, 2, 5, 10, 30)


class Undelivered(Exception):
    """Events are left in the outbox; the text says why."""


def wake(using: str) -> None:
    """Relay the outbox of a database from this process's thread, soon; returns at once."""
    global _thread
    forking.check()
    with _lock:
        _waiting.add(using)
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_run, name="krill-logger-relay", daemon=True)
            _thread.start()
    _woken.set()


def deliver(using: str, *, seconds: float = math.inf) -> int:
    """Send what is in the outbox of a database, and wait until Kafka has it.

    While another process does so, wait for it; whoever holds the lease sends the others' events as well, so that
    events keep their order.

    Args:
        seconds: for a process that ends afterwards. Whoever goes on living waits for as long as it takes, since
            librdkafka keeps what it was given, and would send twice what is given again.

    Returns:
        How many events this call sent.

    Raises:
        Undelivered: Kafka did not take them, or `seconds` are over; they stay in the outbox.
        django.db.DatabaseError: the outbox cannot be read.
    """
    until = time.monotonic() + seconds
    owner = f"{socket.gethostname()[:200]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
    rows = OutboxEvent.objects.using(using).order_by("pk")
    sent = 0
    while rows.exists():
        if not _hold(using, owner):
            if time.monotonic() > until:
                raise Undelivered("Another process has been relaying for too long.")
            time.sleep(0.05)
            continue
        try:
            while page := list(rows[:_BATCH]):
                page = _without_known(using, page)
                # What is marked may be in Kafka whatever happens next, so whoever comes then asks. From the mark to
                # the last answer the lease is held.
                _go_on(using, owner, until)
                _mark(using, page)
                sent += _send(using, owner, page, until)
        finally:
            RelayLease.objects.using(using).filter(owner=owner).update(owner="", until=Now())
    return sent


def _hold(using: str, owner: str) -> bool:
    """Take the lease, or renew it. The database's clock counts, not this machine's."""
    leases = RelayLease.objects.using(using)
    until = ExpressionWrapper(Now() + Value(dt.timedelta(seconds=LEASE_SECONDS)), DateTimeField())
    free = Q(owner=owner) | Q(owner="") | Q(until__lt=Now())
    if leases.filter(free, pk=1).update(owner=owner, until=until):
        return True
    leases.bulk_create(
        [RelayLease(pk=1, owner="", until=dt.datetime(2000, 1, 1, tzinfo=dt.UTC))], ignore_conflicts=True
    )
    return False


def _without_known(using: str, page: list[OutboxEvent]) -> list[OutboxEvent]:
    """Leave out, and delete, what a relay that did not come to its end has sent already."""
    doubtful = {str(row.event_id).encode(): row for row in page if row.tried_ms is not None}
    if not doubtful:
        return page
    since = min(row.tried_ms for row in doubtful.values())
    try:
        known = {doubtful[name].pk for name in kafka.present(AdminChange.TOPIC, since, doubtful)}
    except KafkaException as error:
        raise Undelivered(f"Kafka does not say what it has: {error.args[0].str()}.") from None
    OutboxEvent.objects.using(using).filter(pk__in=known).delete()
    return [row for row in page if row.pk not in known]


def _mark(using: str, page: list[OutboxEvent]) -> None:
    fresh = [row.pk for row in page if row.tried_ms is None]
    # By the clock of the process that sends, as the messages' own times are.
    OutboxEvent.objects.using(using).filter(pk__in=fresh).update(tried_ms=int(time.time() * 1000))


def _send(using: str, owner: str, page: list[OutboxEvent], until: float) -> int:
    reports: queue.SimpleQueue[tuple[int, KafkaError | None]] = queue.SimpleQueue()
    for row in page:
        event = msgspec.json.decode(row.value, type=AdminChange)
        headers = event.headers(conf().SOURCE)

        def report(error: KafkaError | None, pk: int = row.pk) -> None:
            reports.put((pk, error))

        while _queue_is_full(bytes(row.value), event, headers, report):
            _go_on(using, owner, until)
            time.sleep(0.2)
    acknowledged: list[int] = []
    refused: list[int] = []
    failure: KafkaError | None = None
    waiting = len(page)
    try:
        while waiting:
            try:
                pk, error = reports.get(timeout=1.0)
            except queue.Empty:
                _go_on(using, owner, until)
                continue
            waiting -= 1
            if error is None:
                acknowledged.append(pk)
            else:
                failure = error
                if error.code() in OF_THE_MESSAGE:
                    refused.append(pk)
    finally:
        rows = OutboxEvent.objects.using(using)
        rows.filter(pk__in=acknowledged).delete()
        rows.filter(pk__in=refused).update(tried_ms=None)  # nobody need ask Kafka for it
    if failure is not None:
        raise Undelivered(f"Kafka did not take {len(page) - len(acknowledged)} events: {failure.str()}.")
    return len(acknowledged)


def _queue_is_full(value: bytes, event: AdminChange, headers: kafka.Headers, report: kafka.OnDelivery) -> bool:
    """Give an event to librdkafka, unless its queue is full. What it refuses is reported: no other waits for it."""
    try:
        kafka.send(value, event.TOPIC, event.key, headers, report)
    except BufferError:
        return True
    except KafkaException as refusal:
        report(refusal.args[0])
    return False


def _go_on(using: str, owner: str, until: float) -> None:
    if time.monotonic() > until:
        raise Undelivered("Kafka did not answer in time.")
    if not _hold(using, owner):
        raise Undelivered("Another process took over.")


def _run() -> None:
    failures = 0
    while not _stopping:
        _woken.wait()
        _woken.clear()
        with _lock:
            aliases = set(_waiting)
            _waiting.clear()
            _idle.clear()
        for using in aliases:
            try:
                deliver(using)
                failures = 0
            except (Undelivered, DatabaseError) as error:
                kafka.failed("relay_errors", f"the outbox of database {using!r} waits: {error}")
                pause = _RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)]
                failures += 1
                with _lock:
                    _waiting.add(using)
                timer = threading.Timer(pause, _woken.set)
                timer.daemon = True
                timer.start()
            finally:
                connections[using].close()
        if not _woken.is_set():
            _idle.set()


def _stop() -> None:
    global _stopping
    if _thread is not None and _thread.is_alive():
        deadline = time.monotonic() + EXIT_SECONDS
        while _woken.is_set() and time.monotonic() < deadline:
            time.sleep(0.01)
        _idle.wait(max(deadline - time.monotonic(), 0))
        _stopping = True
        _woken.set()


def _start_anew() -> None:
    """A forked child has none of its parent's threads; what the parent wrote, the parent relays."""
    global _lock, _woken, _idle, _thread, _stopping
    _lock, _woken, _idle = threading.Lock(), threading.Event(), threading.Event()
    _idle.set()
    _waiting.clear()
    _thread, _stopping = None, False


_lock = threading.Lock()
_woken = threading.Event()
_idle = threading.Event()
_idle.set()
_waiting: set[str] = set()
_thread: threading.Thread | None = None
_stopping = False

forking.after_fork(_start_anew)
atexit.register(_stop)
