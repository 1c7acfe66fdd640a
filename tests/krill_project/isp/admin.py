"""The admin, with an inline and a many-to-many field."""

from __future__ import annotations

from django.contrib import admin

from tests.krill_project.isp.models import Cpe, Customer


class CpeInline(admin.TabularInline):
    model = Cpe
    fields = ("cpename", "postalcode", "wifi_password")
    extra = 0


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    fields = ("name", "external_id", "comment", "tags")
    inlines = (CpeInline,)


@admin.register(Cpe)
class CpeAdmin(admin.ModelAdmin):
    fields = ("cpename", "postalcode", "wifi_password")
