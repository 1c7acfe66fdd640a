"""Customers, CPEs, POTSes and operations."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from ..fields import EncryptedTextField


class Migration(migrations.Migration):
    initial = True

    dependencies: list[tuple[str, str]] = []

    operations = [
        migrations.CreateModel(
            name="Customer",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("name", models.CharField(max_length=80, verbose_name="name")),
                ("surname", models.CharField(blank=True, max_length=120, verbose_name="surname")),
                ("address", models.CharField(blank=True, max_length=200, verbose_name="address")),
                ("city", models.CharField(blank=True, max_length=80, verbose_name="city")),
                (
                    "country",
                    models.CharField(blank=True, default="España", max_length=80, verbose_name="country"),
                ),
                ("postalcode", models.CharField(blank=True, max_length=16, verbose_name="postal code")),
                (
                    "external_id",
                    models.CharField(blank=True, db_index=True, max_length=40, verbose_name="external id"),
                ),
                ("realm", models.CharField(db_index=True, max_length=16, verbose_name="realm")),
                ("comment", models.TextField(blank=True, verbose_name="comment")),
                (
                    "created",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created"),
                ),
                ("updated", models.DateTimeField(auto_now=True, verbose_name="updated")),
            ],
            options={
                "verbose_name": "Customer",
                "verbose_name_plural": "Customers",
                "ordering": ("id",),
            },
        ),
        migrations.CreateModel(
            name="Cpe",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("cpename", models.CharField(max_length=24, unique=True, verbose_name="CPE name")),
                ("internal_id", models.CharField(blank=True, max_length=40, verbose_name="internal id")),
                (
                    "external_id",
                    models.CharField(blank=True, db_index=True, max_length=40, verbose_name="external id"),
                ),
                ("realm", models.CharField(db_index=True, max_length=16, verbose_name="realm")),
                (
                    "tech",
                    models.CharField(
                        choices=[("gpon", "GPON"), ("wimax", "WiMAX"), ("docsis", "DOCSIS"), ("ghn", "G.hn")],
                        default="gpon",
                        max_length=8,
                        verbose_name="technology",
                    ),
                ),
                ("model", models.CharField(blank=True, max_length=40, verbose_name="model")),
                ("sn", models.CharField(blank=True, max_length=40, verbose_name="serial number")),
                (
                    "mac",
                    models.CharField(
                        blank=True,
                        max_length=17,
                        validators=[django.core.validators.RegexValidator("^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")],
                        verbose_name="MAC address",
                    ),
                ),
                ("profile", models.CharField(blank=True, max_length=40, verbose_name="profile")),
                ("line_profile", models.CharField(blank=True, max_length=40, verbose_name="line profile")),
                (
                    "access",
                    models.CharField(
                        blank=True,
                        help_text="network node and its port",
                        max_length=60,
                        verbose_name="access",
                    ),
                ),
                ("active", models.BooleanField(default=True, verbose_name="active")),
                ("address", models.CharField(blank=True, max_length=200, verbose_name="address")),
                ("city", models.CharField(blank=True, max_length=80, verbose_name="city")),
                ("postalcode", models.CharField(blank=True, max_length=16, verbose_name="postal code")),
                (
                    "latitude",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(-90),
                            django.core.validators.MaxValueValidator(90),
                        ],
                        verbose_name="latitude",
                    ),
                ),
                (
                    "longitude",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(-180),
                            django.core.validators.MaxValueValidator(180),
                        ],
                        verbose_name="longitude",
                    ),
                ),
                ("wifi_ssid", models.CharField(blank=True, max_length=32, verbose_name="Wi-Fi name")),
                ("wifi_password", EncryptedTextField(blank=True, verbose_name="Wi-Fi password")),
                ("pppoe_username", models.CharField(blank=True, max_length=80, verbose_name="PPPoE user")),
                ("pppoe_password", EncryptedTextField(blank=True, verbose_name="PPPoE password")),
                ("notes", models.TextField(blank=True, verbose_name="notes")),
                (
                    "created",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created"),
                ),
                ("updated", models.DateTimeField(auto_now=True, verbose_name="updated")),
                (
                    "customer",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="cpes",
                        to="isp.customer",
                        verbose_name="customer",
                    ),
                ),
            ],
            options={
                "verbose_name": "CPE",
                "verbose_name_plural": "CPEs",
                "ordering": ("id",),
            },
        ),
        migrations.CreateModel(
            name="Pots",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("cli", models.CharField(max_length=20, unique=True, verbose_name="phone number")),
                ("lineid", models.CharField(max_length=32, unique=True, verbose_name="line id")),
                ("order", models.PositiveSmallIntegerField(default=1, verbose_name="order")),
                ("label", models.CharField(blank=True, max_length=60, verbose_name="label")),
                (
                    "context",
                    models.CharField(blank=True, default="default", max_length=40, verbose_name="context"),
                ),
                ("dtmf", models.CharField(blank=True, default="rfc4733", max_length=16, verbose_name="DTMF")),
                (
                    "language",
                    models.CharField(blank=True, default="es", max_length=8, verbose_name="language"),
                ),
                ("username", models.CharField(blank=True, max_length=60, verbose_name="user")),
                ("password", EncryptedTextField(blank=True, verbose_name="password")),
                ("voicemail", models.BooleanField(default=False, verbose_name="voicemail")),
                ("voicemail_password", EncryptedTextField(blank=True, verbose_name="voicemail password")),
                ("pbx_extension", models.CharField(blank=True, max_length=16, verbose_name="PBX extension")),
                (
                    "cpe",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="potses",
                        to="isp.cpe",
                        verbose_name="CPE",
                    ),
                ),
            ],
            options={
                "verbose_name": "POTS",
                "verbose_name_plural": "POTSes",
                "ordering": ("id",),
            },
        ),
        migrations.CreateModel(
            name="Operation",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("action", models.CharField(max_length=24)),
                ("done", models.DateTimeField()),
                (
                    "cpe",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="operations", to="isp.cpe"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("cpe", "action"), name="one_operation_per_cpe_and_action")
                ],
            },
        ),
    ]
