"""`manage.py krill_logger_relay`: sends what processes that died left in the outbox and in the spool."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

from confluent_kafka import KafkaException
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connections, router

from producers import kafka
from producers.django.models import OutboxEvent
from producers.django.relay import Undelivered, deliver


class Command(BaseCommand):  # type: ignore[misc]
    help = (
        "Send committed events that are still in the outbox, and requests that wait in the spool, to Kafka. Every "
        "process relays what it wrote; this picks up what a process that died has left. "
        "Example: manage.py krill_logger_relay --once"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="Send what is there and end; otherwise go on for good.")
        parser.add_argument("--database", action="append", help="Alias of a database (default: all with an outbox).")
        parser.add_argument(
            "--timeout", type=float, default=60.0, help="With --once, give up after so many seconds (default: 60)."
        )

    def handle(self, *_: Any, once: bool, database: list[str] | None, timeout: float, **__: Any) -> None:
        unknown = [alias for alias in database or () if alias not in connections]
        if unknown:
            raise CommandError(f"There is no database {unknown[0]!r}; DATABASES has {', '.join(connections)}.")
        stop = threading.Event()
        if threading.current_thread() is threading.main_thread() and not once:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
        try:
            aliases = database or [alias for alias in connections if _has_outbox(alias)]
            if not aliases:
                raise CommandError("No database has an outbox; run `manage.py migrate krill_logger` first.")
            if once:
                sent = sum(deliver(alias, seconds=timeout) for alias in aliases)
                if not kafka.send_spool(timeout):
                    raise Undelivered("the spool still holds events that Kafka did not take.")
                sent += kafka.counters().get("sent_from_spool", 0)
                self.stdout.write(f"{sent} events sent.")
                return
            kafka.start()
        except (Undelivered, DatabaseError, KafkaException) as error:
            kafka.close(0)
            raise CommandError(f"Not all was sent: {error}") from None
        while not stop.is_set():
            for alias in aliases:
                try:
                    sent = deliver(alias)
                except (Undelivered, DatabaseError) as error:
                    self.stderr.write(f"{time.strftime('%H:%M:%S')} The outbox of {alias!r} waits: {error}")
                    stop.wait(5)
                    continue
                if sent:
                    self.stdout.write(f"{time.strftime('%H:%M:%S')} {sent} events sent from {alias!r}.")
            stop.wait(1)


def _has_outbox(alias: str) -> bool:
    if not router.allow_migrate_model(alias, OutboxEvent):
        return False
    connection = connections[alias]
    return OutboxEvent._meta.db_table in connection.introspection.table_names()
