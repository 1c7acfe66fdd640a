"""The second version of the ISP's API."""

from __future__ import annotations

from typing import Any

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from ..api import ChangePermissions, ModelViewSet
from . import operations
from .models import Cpe, Customer, Pots
from .serializers import CpeSerializer, CustomerSerializer, PotsSerializer

operation = action(detail=True, methods=["post", "patch"], permission_classes=[ChangePermissions])


class CustomerViewSet(ModelViewSet):
    """Customers."""

    queryset = Customer.objects.all()
    serializer_class = CustomerSerializer
    filterset_fields = ("external_id", "realm", "name", "surname", "city", "country", "postalcode")
    search_fields = ("name", "surname", "external_id", "address")


class CpeViewSet(ModelViewSet):
    """CPEs, and what they can be told to do."""

    queryset = Cpe.objects.all()
    serializer_class = CpeSerializer
    filterset_fields = (
        "external_id",
        "internal_id",
        "realm",
        "cpename",
        "customer",
        "tech",
        "model",
        "sn",
        "mac",
        "profile",
        "active",
        "city",
        "postalcode",
    )
    search_fields = ("cpename", "external_id", "sn", "mac", "address")

    @operation
    def reboot(self, request: Request, pk: str) -> Response:
        """Restart the device."""
        return Response(operations.reboot(self.get_object()))

    @operation
    def factory(self, request: Request, pk: str) -> Response:
        """Reset the device to its factory settings."""
        return Response(operations.factory(self.get_object()))

    @operation
    def reconfig(self, request: Request, pk: str) -> Response:
        """Send the device its configuration again."""
        return Response(operations.reconfig(self.get_object()))

    @operation
    def reprovision(self, request: Request, pk: str) -> Response:
        """Provision the device again; slow."""
        return Response(operations.reprovision(self.get_object()))

    @operation
    def unprovision(self, request: Request, pk: str) -> Response:
        """Take the device off the network."""
        return Response(operations.unprovision(self.get_object()))

    @action(detail=True, methods=["get", "post"], permission_classes=[ChangePermissions])
    def diagnostic(self, request: Request, pk: str) -> Response:
        """Measure the device's line."""
        return Response(operations.diagnostic(self.get_object()))

    @action(detail=True, methods=["patch"], permission_classes=[ChangePermissions], filter_backends=[])
    def fake_modification(self, request: Request, pk: str) -> Response:
        """The CPE as it would be with the values of the query and the body; nothing is saved."""
        wanted: dict[str, Any] = {**request.query_params.dict(), **request.data}
        serializer = self.get_serializer(self.get_object(), data=wanted, partial=True)
        serializer.is_valid(raise_exception=True)
        return Response(wanted)


class PotsViewSet(ModelViewSet):
    """Phone lines."""

    queryset = Pots.objects.all()
    serializer_class = PotsSerializer
    filterset_fields = (
        "cpe",
        "cli",
        "lineid",
        "context",
        "username",
        "voicemail",
        "pbx_extension",
        "cpe__realm",
    )
    search_fields = ("cli", "lineid", "label")
