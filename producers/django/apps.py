"""The Django app `krill_logger`: checks its setting, connects Kafka, begins to record changes."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class KrillLoggerConfig(AppConfig):  # type: ignore[misc]
    name = "producers.django"
    label = "krill_logger"
    verbose_name = "Krill Logger"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from producers import kafka
        from producers.django import capture
        from producers.django.conf import check, conf

        checks.register(check)
        given = conf()
        kafka.configure(given.spool(), given.SPOOL_BYTES, **given.librdkafka())
        capture.install()
