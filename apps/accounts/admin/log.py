"""The audit log in the cabinet: read, nothing else."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _lazy

from apps.accounts.admin.base import TenantAdmin
from apps.accounts.admin.site import cabinet
from apps.accounts.permissions import Permission
from apps.audit.models import Record


@admin.register(Record, site=cabinet)
class RecordAdmin(TenantAdmin):
    """Every act in the tenant, newest first."""

    view_permission = Permission.AUDIT_VIEW
    entity_type = "record"
    fields = ("sequence", "at", "action", "who", "actor", "entity_type", "entity_id", "detail")
    list_display = ("sequence", "at", "action", "who", "entity_type", "entity_id")
    list_display_links = ("sequence", "action")
    list_filter = ("entity_type",)
    search_fields = ("action", "=entity_id", "actor__label")
    ordering = ("-sequence",)

    @admin.display(description=_lazy("Who"))
    def who(self, row: Record) -> str:
        return str(row.actor.get("label", ""))
