"""What a project may put into its URLs."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from producers import kafka


def metrics(_request: HttpRequest) -> HttpResponse:
    """What has happened to the events of all processes on this machine, for Prometheus. It shows no event."""
    return HttpResponse(kafka.metrics(), content_type="text/plain; version=0.0.4; charset=utf-8")
