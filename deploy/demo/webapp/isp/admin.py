"""Krill's panel for customers, CPEs and POTSes, as a support agent uses it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from .models import Cpe, Customer, Pots


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    """Customers."""

    list_display = ("id", "__str__", "realm", "external_id", "city", "postalcode", "updated")
    list_display_links = ("id", "__str__")
    list_filter = ("realm", "country", "city")
    search_fields = ("name", "surname", "external_id", "address", "city")
    readonly_fields = ("created", "updated")
    fieldsets = (
        (None, {"fields": (("name", "surname"), ("realm", "external_id"), "comment")}),
        (_("Address"), {"fields": ("address", ("postalcode", "city"), "country")}),
        (_("History"), {"fields": (("created", "updated"),)}),
    )


@admin.register(Cpe)
class CpeAdmin(admin.ModelAdmin):
    """CPEs."""

    list_display = (
        "id",
        "cpename",
        "customer",
        "tech",
        "access",
        "postalcode",
        "active",
        "updated",
    )
    list_display_links = ("id", "cpename")
    list_filter = ("active", "realm", "tech", "model", "profile")
    list_select_related = ("customer",)
    search_fields = ("cpename", "external_id", "sn", "mac", "address", "customer__name", "customer__surname")
    autocomplete_fields = ("customer",)
    readonly_fields = ("created", "updated")
    actions = ("activate", "deactivate")
    fieldsets = (
        (
            None,
            {"fields": (("cpename", "active"), ("realm", "external_id", "internal_id"), "customer", "notes")},
        ),
        (_("Device"), {"fields": (("tech", "model"), ("sn", "mac"), ("profile", "line_profile"), "access")}),
        (_("Address"), {"fields": ("address", ("postalcode", "city"), ("latitude", "longitude"))}),
        ("Wi-Fi", {"fields": (("wifi_ssid", "wifi_password"),)}),
        ("PPPoE", {"fields": (("pppoe_username", "pppoe_password"),)}),
        (_("History"), {"fields": (("created", "updated"),)}),
    )

    @admin.action(description=_("Activate the selected CPEs"), permissions=("change",))
    def activate(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Many at once, in one statement."""
        self._set_active(request, queryset, True)

    @admin.action(description=_("Deactivate the selected CPEs"), permissions=("change",))
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Many at once, in one statement."""
        self._set_active(request, queryset, False)

    def _set_active(self, request: HttpRequest, queryset: QuerySet[Any], active: bool) -> None:
        with transaction.atomic():
            count = queryset.update(active=active, updated=timezone.now())
        text = ngettext("%d CPE was changed.", "%d CPEs were changed.", count) % count
        self.message_user(request, text, messages.SUCCESS)


@admin.register(Pots)
class PotsAdmin(admin.ModelAdmin):
    """Phone lines."""

    list_display = ("id", "lineid", "cli", "cpe", "label", "context", "voicemail", "pbx_extension")
    list_display_links = ("id", "lineid")
    list_filter = ("voicemail", "context", "language", "cpe__realm")
    list_select_related = ("cpe",)
    search_fields = ("cli", "lineid", "label", "cpe__cpename")
    autocomplete_fields = ("cpe",)
    fieldsets = (
        (None, {"fields": ("cpe", ("lineid", "order"), ("cli", "label"))}),
        (_("Line"), {"fields": (("context", "dtmf", "language"), ("username", "password"), "pbx_extension")}),
        (_("Voicemail"), {"fields": (("voicemail", "voicemail_password"),)}),
    )
