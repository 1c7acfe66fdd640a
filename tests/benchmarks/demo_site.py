"""The demo Krill for gunicorn; `KRILL_LOGGER_OFF=1` leaves out all that records, to compare with."""

from __future__ import annotations

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

if os.environ.pop("KRILL_LOGGER_OFF", None):
    settings.MIDDLEWARE.remove("producers.django.middleware.RequestLoggingMiddleware")
    settings.KRILL_LOGGER["MODELS"] = []
application = get_wsgi_application()
