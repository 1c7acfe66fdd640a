"""The Django app `isp`."""

from __future__ import annotations

from django.apps import AppConfig


class IspConfig(AppConfig):
    """Its label is what the Admin report shows: `isp | CPE`."""

    name = "webapp.isp"
    label = "isp"
    verbose_name = "ISP"
