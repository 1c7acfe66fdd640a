"""`/api/isp/`, the first version."""

from __future__ import annotations

from ..api import Router
from . import views_v1

router = Router()
router.register("cpes", views_v1.CpeViewSet, basename="v1-cpe")
urlpatterns = router.urls
