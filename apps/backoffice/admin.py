"""The audit log in the admin, read-only."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _lazy

from apps.audit.models import Record
from apps.authorization.permissions import Permission
from apps.backoffice.base import TenantAdmin
from apps.backoffice.site import admin_site


@admin.register(Record, site=admin_site)
class RecordAdmin(TenantAdmin):
    """Audit records of the tenant, newest first."""

    view_permission = Permission.AUDIT_VIEW
    entity_type = "record"
    fields = (
        "sequence",
        "at",
        "action",
        "actor_label",
        "actor",
        "entity_type",
        "entity_id",
        "detail",
    )
    list_display = ("sequence", "at", "action", "actor_label", "entity_type", "entity_id")
    list_display_links = ("sequence", "action")
    list_filter = ("entity_type",)
    search_fields = ("action", "=entity_id", "actor__label")
    ordering = ("-sequence",)

    @admin.display(description=_lazy("Who"))
    def actor_label(self, row: Record) -> str:
        return str(row.actor.get("label", ""))
