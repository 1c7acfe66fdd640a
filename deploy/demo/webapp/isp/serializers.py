"""Customers, CPEs and POTSes as the API shows and takes them."""

from __future__ import annotations

from ..api import Serializer
from .models import Cpe, Customer, Pots

CUSTOMER_FIELDS = (
    "id",
    "name",
    "surname",
    "address",
    "city",
    "country",
    "postalcode",
    "external_id",
    "realm",
    "comment",
    "created",
    "updated",
)
CPE_FIELDS = (
    "id",
    "cpename",
    "internal_id",
    "external_id",
    "realm",
    "customer",
    "tech",
    "model",
    "sn",
    "mac",
    "profile",
    "line_profile",
    "access",
    "active",
    "address",
    "city",
    "postalcode",
    "latitude",
    "longitude",
    "wifi_ssid",
    "wifi_password",
    "pppoe_username",
    "pppoe_password",
    "notes",
    "created",
    "updated",
)
POTS_FIELDS = (
    "id",
    "cpe",
    "cli",
    "lineid",
    "order",
    "label",
    "context",
    "dtmf",
    "language",
    "username",
    "password",
    "voicemail",
    "voicemail_password",
    "pbx_extension",
)


class JoinedCustomer(Serializer):
    """The customer inside a CPE."""

    class Meta:
        model = Customer
        fields = CUSTOMER_FIELDS


class JoinedCpe(Serializer):
    """The CPE inside a customer or a POTS."""

    class Meta:
        model = Cpe
        fields = CPE_FIELDS


class JoinedPots(Serializer):
    """The POTS inside a CPE."""

    class Meta:
        model = Pots
        fields = POTS_FIELDS


class CustomerSerializer(JoinedCustomer):
    """A customer; `?joins=cpes`."""

    joins = {"cpes": JoinedCpe}


class CpeSerializer(JoinedCpe):
    """A CPE; `?joins=customer,potses`."""

    joins = {"customer": JoinedCustomer, "potses": JoinedPots}


class PotsSerializer(JoinedPots):
    """A phone line; `?joins=cpe`."""

    joins = {"cpe": JoinedCpe}
