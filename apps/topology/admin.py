"""Dependencies in the admin: read here, drawn on the topology page and over REST."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _lazy

from apps.authorization.permissions import Permission
from apps.backoffice.base import TenantAdmin
from apps.backoffice.site import admin_site
from apps.topology.models import DependencyGroup


@admin.register(DependencyGroup, site=admin_site)
class DependencyGroupAdmin(TenantAdmin):
    """Which entities depend on which."""

    view_permission = Permission.TOPOLOGY_VIEW
    entity_type = "dependency_group"
    fields = ("dependent_type", "dependent_id", "mode", "k", "members", "note")
    list_display = ("dependent_type", "dependent_id", "mode", "k", "note")
    list_filter = ("mode", "dependent_type")
    search_fields = ("note",)
    ordering = ("dependent_type", "dependent_id")

    @admin.display(description=_lazy("Members"))
    def members(self, row: DependencyGroup) -> str:
        rows = row.members.order_by("member_type", "member_id")
        return ", ".join(f"{member.member_type} {member.member_id}" for member in rows)
