"""Rules, their overrides, and alerts in the admin."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from apps.alerts import services
from apps.alerts.models import Alert, AlertRule, RuleOverride
from apps.authorization.actors import Actor
from apps.authorization.permissions import Permission
from apps.backoffice.base import TenantAdmin
from apps.backoffice.site import admin_site


@admin.register(AlertRule, site=admin_site)
class AlertRuleAdmin(TenantAdmin):
    """The tenant's rules. Documents come from rule packs; here they are enabled and disabled."""

    view_permission = Permission.ALERTS_VIEW
    manage_permission = Permission.ALERTS_TUNE
    entity_type = "alert_rule"
    fields = ("key", "pack", "version", "is_enabled", "document", "updated_at")
    list_display = ("key", "pack", "version", "is_enabled", "updated_at")
    list_filter = ("is_enabled", "pack")
    search_fields = ("key",)
    ordering = ("key",)
    actions = ("enable", "disable")

    @admin.action(description=_lazy("Enable"), permissions=["manage"])
    def enable(self, request: HttpRequest, rows: QuerySet[AlertRule]) -> None:
        """Enable the selected rules."""
        self._set_enabled(request, rows, is_enabled=True)

    @admin.action(description=_lazy("Disable"), permissions=["manage"])
    def disable(self, request: HttpRequest, rows: QuerySet[AlertRule]) -> None:
        """Disable the selected rules; their open alerts recover."""
        self._set_enabled(request, rows, is_enabled=False)

    def _set_enabled(
        self, request: HttpRequest, rows: QuerySet[AlertRule], *, is_enabled: bool
    ) -> None:
        self.apply_each(
            request,
            rows,
            lambda row, *, actor, at: services.set_enabled(
                rule=row, is_enabled=is_enabled, actor=actor, at=at
            ),
            _("%(n)d rules were updated."),
        )


@admin.register(RuleOverride, site=admin_site)
class RuleOverrideAdmin(TenantAdmin):
    """Overrides of rules, with the reason for each."""

    view_permission = Permission.ALERTS_VIEW
    manage_permission = Permission.ALERTS_TUNE
    can_add = can_change = can_delete = True
    entity_type = "alert_rule"
    add_fields = ("rule", "level", "target", "changes", "reason")
    fields = ("rule", "level", "target", "changes", "reason", "updated_at")
    autocomplete_fields = ("rule",)
    list_display = ("rule", "level", "target", "changes", "reason", "updated_at")
    list_filter = ("level",)
    list_select_related = ("rule",)
    search_fields = ("rule__key", "target", "reason")
    ordering = ("rule__key", "level", "target")

    def get_readonly_fields(self, request: Any, obj: Any = None) -> Any:
        # Rule, level and target identify the override: changing one means creating another row.
        return ("rule", "level", "target", "updated_at") if obj else ()

    def create(self, values: Mapping[str, Any], *, actor: Actor, at: datetime) -> RuleOverride:
        return services.set_override(**values, actor=actor, at=at)

    def change(
        self, row: RuleOverride, changes: Mapping[str, Any], *, actor: Actor, at: datetime
    ) -> None:
        services.set_override(
            rule=row.rule,
            level=row.level,
            target=row.target,
            changes=changes.get("changes", row.changes),
            reason=changes.get("reason", row.reason),
            actor=actor,
            at=at,
        )

    def remove(self, row: RuleOverride, *, actor: Actor, at: datetime) -> None:
        services.remove_override(override=row, actor=actor, at=at)

    def audited_id(self, row: RuleOverride) -> str:
        return str(row.rule_id)


@admin.register(Alert, site=admin_site)
class AlertAdmin(TenantAdmin):
    """Alerts, read-only: only rule evaluation changes their state."""

    view_permission = Permission.ALERTS_VIEW
    entity_type = "alert"
    fields = (
        *("rule", "state", "severity", "entity_type", "entity_id", "summary", "observation"),
        *("since", "fired_at", "clear_since", "recovered_at"),
    )
    list_display = ("summary", "state", "severity", "rule", "since", "recovered_at")
    list_filter = ("state", "severity")
    list_select_related = ("rule",)
    search_fields = ("summary",)
    ordering = ("-since", "-id")
