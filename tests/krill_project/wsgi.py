"""The project behind a WSGI server; its producer runs before the server forks, as in a project that publishes early."""

from __future__ import annotations

from django.core.wsgi import get_wsgi_application

from producers import kafka

application = get_wsgi_application()
kafka.start()
