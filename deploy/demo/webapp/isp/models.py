"""Customers, CPEs and POTSes, with the fields of Krill's API guide."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .fields import EncryptedTextField


class Customer(models.Model):
    """A person or company with a contract."""

    name = models.CharField(_("name"), max_length=80)
    surname = models.CharField(_("surname"), max_length=120, blank=True)
    address = models.CharField(_("address"), max_length=200, blank=True)
    city = models.CharField(_("city"), max_length=80, blank=True)
    country = models.CharField(_("country"), max_length=80, blank=True, default="España")
    postalcode = models.CharField(_("postal code"), max_length=16, blank=True)
    external_id = models.CharField(_("external id"), max_length=40, blank=True, db_index=True)
    realm = models.CharField(_("realm"), max_length=16, db_index=True)
    comment = models.TextField(_("comment"), blank=True)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("Customer")
        verbose_name_plural = _("Customers")
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.name} {self.surname}".strip()


class Cpe(models.Model):
    """The device at a customer's home; an ONT where the technology is GPON."""

    class Tech(models.TextChoices):
        """How the device reaches the network."""

        GPON = "gpon", "GPON"
        WIMAX = "wimax", "WiMAX"
        DOCSIS = "docsis", "DOCSIS"
        GHN = "ghn", "G.hn"

    cpename = models.CharField(_("CPE name"), max_length=24, unique=True)
    internal_id = models.CharField(_("internal id"), max_length=40, blank=True)
    external_id = models.CharField(_("external id"), max_length=40, blank=True, db_index=True)
    realm = models.CharField(_("realm"), max_length=16, db_index=True)
    customer = models.ForeignKey(
        Customer, models.PROTECT, null=True, blank=True, related_name="cpes", verbose_name=_("customer")
    )
    tech = models.CharField(_("technology"), max_length=8, choices=Tech.choices, default=Tech.GPON)
    model = models.CharField(_("model"), max_length=40, blank=True)
    sn = models.CharField(_("serial number"), max_length=40, blank=True)
    mac = models.CharField(
        _("MAC address"),
        max_length=17,
        blank=True,
        validators=[RegexValidator(r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")],
    )
    profile = models.CharField(_("profile"), max_length=40, blank=True)
    line_profile = models.CharField(_("line profile"), max_length=40, blank=True)
    access = models.CharField(_("access"), max_length=60, blank=True, help_text=_("network node and its port"))
    active = models.BooleanField(_("active"), default=True)
    address = models.CharField(_("address"), max_length=200, blank=True)
    city = models.CharField(_("city"), max_length=80, blank=True)
    postalcode = models.CharField(_("postal code"), max_length=16, blank=True)
    latitude = models.FloatField(
        _("latitude"), null=True, blank=True, validators=[MinValueValidator(-90), MaxValueValidator(90)]
    )
    longitude = models.FloatField(
        _("longitude"), null=True, blank=True, validators=[MinValueValidator(-180), MaxValueValidator(180)]
    )
    wifi_ssid = models.CharField(_("Wi-Fi name"), max_length=32, blank=True)
    wifi_password = EncryptedTextField(_("Wi-Fi password"), blank=True)
    pppoe_username = models.CharField(_("PPPoE user"), max_length=80, blank=True)
    pppoe_password = EncryptedTextField(_("PPPoE password"), blank=True)
    notes = models.TextField(_("notes"), blank=True)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = "CPE"
        verbose_name_plural = "CPEs"
        ordering = ("id",)

    def __str__(self) -> str:
        return self.cpename

    @property
    def node(self) -> str:
        """The network node (an OLT, a CMTS, …) it hangs from: the first word of `access`."""
        return self.access.partition(" ")[0]


class Pots(models.Model):
    """An analogue phone line of a CPE."""

    cpe = models.ForeignKey(Cpe, models.CASCADE, related_name="potses", verbose_name="CPE")
    cli = models.CharField(_("phone number"), max_length=20, unique=True)
    lineid = models.CharField(_("line id"), max_length=32, unique=True)
    order = models.PositiveSmallIntegerField(_("order"), default=1)
    label = models.CharField(_("label"), max_length=60, blank=True)
    context = models.CharField(_("context"), max_length=40, blank=True, default="default")
    dtmf = models.CharField(_("DTMF"), max_length=16, blank=True, default="rfc4733")
    language = models.CharField(_("language"), max_length=8, blank=True, default="es")
    username = models.CharField(_("user"), max_length=60, blank=True)
    password = EncryptedTextField(_("password"), blank=True)
    voicemail = models.BooleanField(_("voicemail"), default=False)
    voicemail_password = EncryptedTextField(_("voicemail password"), blank=True)
    pbx_extension = models.CharField(_("PBX extension"), max_length=16, blank=True)

    class Meta:
        verbose_name = "POTS"
        verbose_name_plural = "POTSes"
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.lineid} ({self.cli})"


class Operation(models.Model):
    """The last time that each kind of operation was carried out on a CPE; monitoring counts from it."""

    cpe = models.ForeignKey(Cpe, models.CASCADE, related_name="operations")
    action = models.CharField(max_length=24)
    done = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("cpe", "action"), name="one_operation_per_cpe_and_action"),)

    def __str__(self) -> str:
        return f"{self.action} {self.cpe_id}"
