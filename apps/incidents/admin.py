"""Incidents in the admin: a register. People work on them on their own page."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _lazy

from apps.authorization.permissions import Permission
from apps.backoffice.base import TenantAdmin
from apps.backoffice.site import admin_site
from apps.incidents.models import Incident


@admin.register(Incident, site=admin_site)
class IncidentAdmin(TenantAdmin):
    """Outages as they were told."""

    view_permission = Permission.INCIDENTS_VIEW
    entity_type = "incident"
    fieldsets = (
        (None, {"fields": ("number", "title", "status", "severity", "resolution")}),
        (_lazy("When"), {"fields": ("started_at", "opened_at", "ended_at", "reopened_count")}),
        (_lazy("Cause"), {"fields": ("root_type", "root_id", "root_name", "confidence")}),
        (
            _lazy("Who is hit"),
            {
                "fields": (
                    *("sites_affected", "devices_affected", "services_affected"),
                    *("subscribers_affected", "suppressed_count"),
                )
            },
        ),
        (_lazy("Who took it"), {"fields": ("acked_by", "acked_at", "assigned_to")}),
    )
    list_display = ("number", "title", "status", "severity", "started_at", "ended_at", "acked_by")
    list_display_links = ("number", "title")
    list_filter = ("status", "severity", "resolution")
    search_fields = ("title", "root_name", "=number")
    ordering = ("-number",)
