"""`/api/v2/cpes/<id>/<action>`: the operations alone, by the short path of Krill's guide."""

from __future__ import annotations

from django.urls import re_path

from .views import CpeViewSet

urlpatterns = [
    re_path(
        rf"^(?P<pk>[^/.]+)/{extra.url_path}/?$",
        CpeViewSet.as_view(dict(extra.mapping), **extra.kwargs),
        name=f"cpes-{extra.url_name}",
    )
    for extra in CpeViewSet.get_extra_actions()
]
