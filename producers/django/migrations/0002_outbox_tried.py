"""Since when Kafka may have an event, so that nobody sends it again unasked."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):  # type: ignore[misc]
    dependencies: ClassVar[list[Any]] = [("krill_logger", "0001_initial")]

    operations: ClassVar[list[Any]] = [
        migrations.AddField(
            "OutboxEvent",
            "tried_ms",
            models.BigIntegerField(help_text="Unix time in ms since when Kafka may have it.", null=True),
        ),
    ]
