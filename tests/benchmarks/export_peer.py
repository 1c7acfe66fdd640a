"""Django streams drf-tracking's rows as CSV, as its documentation shows: what `export` is compared with.

`gunicorn tests.benchmarks.export_peer:application`, with the port of PostgreSQL in `PEER_PORT`.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "krill",
            "USER": "krill",
            "HOST": "127.0.0.1",
            "PORT": os.environ["PEER_PORT"],
            "CONN_MAX_AGE": None,
        }
    },
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework_tracking"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
)


class _Echo:
    def write(self, value: str) -> str:
        return value


def export(request: HttpRequest) -> StreamingHttpResponse:
    """All rows with all columns, in the table's own order, which is the fastest."""
    from rest_framework_tracking.models import APIRequestLog

    names = [field.attname for field in APIRequestLog._meta.concrete_fields]
    writer = csv.writer(_Echo())

    def lines() -> Iterator[str]:
        yield writer.writerow(names)
        # Without the users, whom the model would otherwise ask for with every chunk of rows.
        for row in APIRequestLog.objects.prefetch_related(None).iterator():
            yield writer.writerow([getattr(row, name) for name in names])

    return StreamingHttpResponse(lines(), content_type="text/csv")


urlpatterns = [path("export.csv", export)]
application = get_wsgi_application()
