"""What is left of the API's first version: CPEs, read and changed in part."""

from __future__ import annotations

from rest_framework import mixins, viewsets

from producers.django.mixins import LoggingMixin

from ..api import ModelPermissions
from .models import Cpe
from .serializers import CpeSerializer


class CpeViewSet(
    LoggingMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    viewsets.GenericViewSet,
):
    """CPEs; each request is logged by the mixin, as Krill did with drf-tracking."""

    queryset = Cpe.objects.all()
    serializer_class = CpeSerializer
    permission_classes = (ModelPermissions,)
    filterset_fields = ("external_id", "realm", "cpename")
    http_method_names = ("get", "patch", "head", "options")
