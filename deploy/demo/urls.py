"""Krill's URLs: the admin panel, the API's first and second version."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views import defaults
from django.views.generic import RedirectView

from producers.django.views import metrics

admin.site.site_header = admin.site.site_title = "Krill"

urlpatterns = [
    path("", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("internal/krill-logger/metrics", metrics),
    path("api/v2/isp/", include("webapp.isp.urls")),
    path("api/v2/cpes/", include("webapp.isp.urls_cpes")),
    path("api/v2/monitoring/", include("webapp.monitoring.urls")),
    path("api/v2/", include("webapp.auth.urls")),
    path("api/isp/", include("webapp.isp.urls_v1")),
]


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Not found, in the language of who asked: JSON for the API, a page otherwise."""
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": "Not found."}, status=404)
    return defaults.page_not_found(request, exception)


def handler500(request: HttpRequest) -> HttpResponse:
    """A crash; it tells nothing of its cause, which is in the API report."""
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": "Internal server error."}, status=500)
    return defaults.server_error(request)
