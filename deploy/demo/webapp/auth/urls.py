"""`/api/v2/auth/users/` and `/api/v2/me/`."""

from __future__ import annotations

from django.urls import re_path

from ..api import Router
from .views import MeView, UserViewSet

router = Router()
router.register("auth/users", UserViewSet)
urlpatterns = [*router.urls, re_path(r"^me/?$", MeView.as_view(), name="me")]
