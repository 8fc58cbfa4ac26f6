"""Agents and their certificates in the admin."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from apps.agents import services
from apps.agents.models import Agent, AgentCertificate
from apps.authorization.access import Access
from apps.authorization.actors import Actor
from apps.authorization.permissions import Permission
from apps.backoffice.base import TenantAdmin, access_of
from apps.backoffice.site import admin_site
from apps.core import clock
from apps.core.errors import DomainError


@admin.register(Agent, site=admin_site)
class AgentAdmin(TenantAdmin):
    """Agents: created here, enrolled by a host with a one-time token."""

    view_permission = Permission.AGENTS_VIEW
    manage_permission = Permission.AGENTS_MANAGE
    fresh_sign_in = True
    can_add = can_change = can_delete = True
    entity_type = "agent"
    add_fields = ("name", "site", "attached_device", "source_address")
    readonly_fields = (
        *("status", "created_at", "enrolled_at", "revoked_at", "version", "hostname"),
        *("capabilities", "last_heartbeat_at", "health"),
    )
    fieldsets = (
        (None, {"fields": ("name", "site", "attached_device", "source_address")}),
        (_lazy("Lifecycle"), {"fields": ("status", "created_at", "enrolled_at", "revoked_at")}),
        (
            _lazy("Last heartbeat"),
            {"fields": ("last_heartbeat_at", "version", "hostname", "capabilities", "health")},
        ),
    )
    autocomplete_fields = ("site", "attached_device")
    list_display = ("name", "status", "site", "version", "last_heartbeat_at")
    list_filter = ("status",)
    list_select_related = ("site",)
    search_fields = ("name", "hostname", "site__name")
    ordering = ("name",)
    actions = ("issue_token", "revoke")

    def create(self, values: Mapping[str, Any], *, actor: Actor, at: datetime) -> Agent:
        return services.create_agent(**values, actor=actor, at=at)

    def change(self, row: Agent, changes: Mapping[str, Any], *, actor: Actor, at: datetime) -> None:
        services.update_agent(agent=row, changes=changes, actor=actor, at=at)

    def remove(self, row: Agent, *, actor: Actor, at: datetime) -> None:
        services.delete_agent(agent=row, actor=actor, at=at)

    def deleted_with(self, row: Agent) -> list[str]:
        return [_("its certificates are revoked; its devices are no longer monitored by it")]

    @admin.action(description=_lazy("Issue an enrollment token"), permissions=["manage"])
    def issue_token(self, request: HttpRequest, rows: QuerySet[Agent]) -> None:
        """Shown once, expires after ten minutes; earlier unused tokens become invalid."""
        for row in rows:
            try:
                token = services.issue_enroll_token(
                    agent=row, actor=access_of(request).actor, at=clock.now()
                )
            except DomainError as error:
                self.message_user(request, f"{row}: {error.message}", messages.ERROR)
            else:
                text = _("Copy the token of %(name)s now, it is not shown again: %(text)s")
                self.message_user(
                    request, text % {"name": row, "text": token.text}, messages.WARNING
                )

    @admin.action(description=_lazy("Revoke"), permissions=["manage"])
    def revoke(self, request: HttpRequest, rows: QuerySet[Agent]) -> None:
        """Revoke agents; their next request is refused."""
        self.apply_each(
            request,
            rows,
            lambda row, *, actor, at: services.revoke_agent(
                agent=row, reason="admin", actor=actor, at=at
            ),
            _("%(n)d agents were revoked."),
        )


@admin.register(AgentCertificate, site=admin_site)
class AgentCertificateAdmin(TenantAdmin):
    """Agent certificates and their validity."""

    view_permission = Permission.AGENTS_VIEW
    entity_type = "agent"
    key = "slug"
    fields = ("serial", "agent", "not_before", "not_after", "issued_at", "revoked_at")
    list_display = ("serial", "agent_id", "not_after", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("serial",)
    ordering = ("-not_after",)

    def tenant_rows(self, access: Access) -> QuerySet[AgentCertificate]:
        return AgentCertificate.objects.filter(tenant=access.tenant)

    @admin.display(description=_lazy("Agent"))
    def agent(self, row: AgentCertificate) -> str:
        agent = Agent.objects.filter(pk=row.agent_id).first()
        return agent.name if agent else str(row.agent_id)

    def audited_id(self, row: AgentCertificate) -> str:
        return str(row.agent_id)
