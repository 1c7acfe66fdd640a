"""`/api/v2/isp/`."""

from __future__ import annotations

from ..api import Router
from . import views

router = Router()
router.register("customers", views.CustomerViewSet)
router.register("cpes", views.CpeViewSet)
router.register("potses", views.PotsViewSet)
urlpatterns = router.urls
