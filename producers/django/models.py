"""The outbox: what was committed and Kafka has not yet acknowledged."""

from __future__ import annotations

from django.db import models


class OutboxEvent(models.Model):  # type: ignore[misc]
    """An event that was written in the transaction it tells of; removed once Kafka has it."""

    event_id = models.UUIDField(unique=True)
    value = models.BinaryField(help_text="The event's JSON, as it goes to Kafka; secrets are masked.")
    created_at = models.DateTimeField(auto_now_add=True)
    tried_ms = models.BigIntegerField(null=True, help_text="Unix time in ms since when Kafka may have it.")

    class Meta:
        db_table = "krill_logger_outbox"

    def __str__(self) -> str:
        return str(self.event_id)


class Snapshot(models.Model):  # type: ignore[misc]
    """An object before a statement that changes too many to keep in memory; gone when the statement is done."""

    statement = models.UUIDField(db_index=True)
    model = models.CharField(max_length=255)
    object_pk = models.TextField()
    object_repr = models.TextField()
    before = models.BinaryField(help_text="JSON of producers.django.state.State: secrets are masked.")
    whole = models.BooleanField()

    class Meta:
        db_table = "krill_logger_snapshot"

    def __str__(self) -> str:
        return f"{self.model}:{self.object_pk}"


class RelayLease(models.Model):  # type: ignore[misc]
    """The one row that says which process relays the outbox at present."""

    owner = models.CharField(max_length=255)
    until = models.DateTimeField()

    class Meta:
        db_table = "krill_logger_relay_lease"

    def __str__(self) -> str:
        return str(self.owner)
