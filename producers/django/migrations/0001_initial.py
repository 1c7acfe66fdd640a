"""The outbox, the snapshots of large statements, and the lease of the relay."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):  # type: ignore[misc]
    initial = True

    dependencies: ClassVar[list[Any]] = []

    operations: ClassVar[list[Any]] = [
        migrations.CreateModel(
            name="OutboxEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("event_id", models.UUIDField(unique=True)),
                ("value", models.BinaryField(help_text="The event's JSON, as it goes to Kafka; secrets are masked.")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "db_table": "krill_logger_outbox",
            },
        ),
        migrations.CreateModel(
            name="RelayLease",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("owner", models.CharField(max_length=255)),
                ("until", models.DateTimeField()),
            ],
            options={
                "db_table": "krill_logger_relay_lease",
            },
        ),
        migrations.CreateModel(
            name="Snapshot",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("statement", models.UUIDField(db_index=True)),
                ("model", models.CharField(max_length=255)),
                ("object_pk", models.TextField()),
                ("object_repr", models.TextField()),
                ("before", models.BinaryField(help_text="JSON of producers.django.state.State: secrets are masked.")),
                ("whole", models.BooleanField()),
            ],
            options={
                "db_table": "krill_logger_snapshot",
            },
        ),
    ]
