"""Incidents in the admin, read-only: operators work on them on the incident pages."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _lazy

from apps.authorization.permissions import Permission
from apps.backoffice.base import TenantAdmin
from apps.backoffice.site import admin_site
from apps.incidents.models import Incident


@admin.register(Incident, site=admin_site)
class IncidentAdmin(TenantAdmin):
    """All incidents of a tenant."""

    view_permission = Permission.INCIDENTS_VIEW
    entity_type = "incident"
    fieldsets = (
        (None, {"fields": ("number", "translated_title", "status", "severity", "resolution")}),
        (_lazy("When"), {"fields": ("started_at", "opened_at", "ended_at", "reopened_count")}),
        (_lazy("Cause"), {"fields": ("root_type", "root_id", "root_name", "confidence")}),
        (
            _lazy("Impact"),
            {
                "fields": (
                    *("sites_affected", "devices_affected", "services_affected"),
                    *("subscribers_affected", "suppressed_count"),
                )
            },
        ),
        (_lazy("Acknowledged by"), {"fields": ("acked_by", "acked_at", "assigned_to")}),
    )
    readonly_fields = ("translated_title",)
    list_display = (
        *("number", "translated_title", "status", "severity"),
        *("started_at", "ended_at", "acked_by"),
    )
    list_display_links = ("number", "translated_title")
    list_filter = ("status", "severity", "resolution")
    search_fields = ("title", "root_name", "=number")
    ordering = ("-number",)

    @admin.display(description=_lazy("Title"), ordering="title")
    def translated_title(self, incident: Incident) -> str:
        return incident.display_title
