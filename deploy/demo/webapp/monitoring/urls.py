"""`/api/v2/monitoring/`."""

from __future__ import annotations

from django.urls import re_path

from . import views

urlpatterns = [
    re_path(r"^search/?$", views.SearchView.as_view(), name="monitoring-search"),
    re_path(r"^hosts/(?P<host>[^/]+)/?$", views.HostView.as_view(), name="monitoring-host"),
    re_path(r"^cpes/(?P<pk>[0-9]{1,18})/info/?$", views.CpeInfoView.as_view(), name="monitoring-cpe-info"),
    re_path(r"^graphs/?$", views.GraphsView.as_view(), name="monitoring-graphs"),
    re_path(r"^datasets/?$", views.DatasetsView.as_view(), name="monitoring-datasets"),
]
