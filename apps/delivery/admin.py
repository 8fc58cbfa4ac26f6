"""The delivery log in the admin."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from apps.authorization.permissions import Permission
from apps.backoffice.base import TenantAdmin
from apps.backoffice.site import admin_site
from apps.delivery import services
from apps.delivery.models import Delivery


@admin.register(Delivery, site=admin_site)
class DeliveryAdmin(TenantAdmin):
    """One event for one destination, with the state of its delivery."""

    view_permission = Permission.WEBHOOKS_VIEW
    manage_permission = Permission.WEBHOOKS_MANAGE
    entity_type = "webhook_delivery"
    fields = (
        *("destination", "event_type", "event_id", "incident_id", "sequence", "body_sha256"),
        *("state", "attempt_count", "failure_count", "next_attempt_at", "delivered_at"),
        *("dead_at", "dead_reason", "created_at"),
    )
    list_display = (
        "event_type",
        "destination",
        "state",
        "attempt_count",
        "created_at",
        "dead_reason",
    )
    list_filter = ("state", "event_type", "dead_reason")
    list_select_related = ("destination",)
    search_fields = ("=event_id", "=incident_id")
    ordering = ("-created_at",)
    actions = ("resend",)

    @admin.action(description=_lazy("Resend"), permissions=["manage"])
    def resend(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        """Send the same event with the same bytes."""
        self.apply_each(
            request,
            rows,
            lambda row, *, actor, at: services.resend_delivery(delivery=row, actor=actor, at=at),
            _("%(n)d deliveries queued again."),
        )
