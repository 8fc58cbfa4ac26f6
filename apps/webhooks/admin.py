"""Webhook endpoints and deliveries in the admin."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from apps.authorization.access import Access
from apps.authorization.actors import Actor
from apps.authorization.permissions import Permission
from apps.backoffice.base import TenantAdmin, access_of
from apps.backoffice.site import admin_site
from apps.core import clock
from apps.webhooks import services
from apps.webhooks.models import Delivery, Endpoint

TARGET_FIELDS = ("name", "url", "event_types", "severity_floor")
PRIVACY_FIELDS = ("hides_tenant_name", "hides_people", "hides_evidence", "is_thin")


@admin.register(Endpoint, site=admin_site)
class EndpointAdmin(TenantAdmin):
    """Receivers of incident events. The signing secret of a new one is shown once."""

    view_permission = Permission.WEBHOOKS_VIEW
    manage_permission = Permission.WEBHOOKS_MANAGE
    fresh_sign_in = True
    can_add = can_change = can_delete = True
    entity_type = "webhook_endpoint"
    add_fields = (*TARGET_FIELDS, *PRIVACY_FIELDS, "ca_pem")
    readonly_fields = (
        "pause_reason",
        "paused_at",
        "last_success_at",
        "failing_since",
        "created_at",
    )
    fieldsets = (
        (None, {"fields": TARGET_FIELDS}),
        (_lazy("Withheld data"), {"fields": PRIVACY_FIELDS}),
        (_lazy("Custom certificate authority"), {"fields": ("ca_pem",), "classes": ("collapse",)}),
        (_lazy("Status"), {"fields": readonly_fields}),
    )
    list_display = (
        "name",
        "url",
        "severity_floor",
        "pause_reason",
        "last_success_at",
        "failing_since",
    )
    list_filter = ("pause_reason", "severity_floor")
    search_fields = ("name", "url")
    ordering = ("name",)
    actions = ("send_test", "pause", "resume")

    def tenant_rows(self, access: Access) -> QuerySet[Endpoint]:
        return Endpoint.objects.filter(deleted_at=None)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        values = {name: form.cleaned_data[name] for name in form.fields}
        created, secret = services.create_endpoint(
            **values, actor=access_of(request).actor, at=clock.now()
        )
        obj.__dict__.update(created.__dict__)
        notice = _("Copy the signing secret now, it is not shown again: %(text)s") % {
            "text": secret
        }
        self.message_user(request, notice, messages.WARNING)

    def change(
        self, row: Endpoint, changes: Mapping[str, Any], *, actor: Actor, at: datetime
    ) -> None:
        services.change_endpoint(endpoint=row, actor=actor, at=at, **changes)

    def remove(self, row: Endpoint, *, actor: Actor, at: datetime) -> None:
        services.delete_endpoint(endpoint=row, actor=actor, at=at)

    def deleted_with(self, row: Endpoint) -> list[str]:
        return [_("Its signing secrets and pending deliveries. The delivery log is kept.")]

    @admin.action(description=_lazy("Send a test"), permissions=["manage"])
    def send_test(self, request: HttpRequest, rows: QuerySet[Endpoint]) -> None:
        """Send ``webhook.ping`` through the delivery queue."""
        self.apply_each(
            request,
            rows,
            lambda row, *, actor, at: services.test_endpoint(endpoint=row, actor=actor, at=at),
            _("%(n)d test deliveries queued."),
        )

    @admin.action(description=_lazy("Pause"), permissions=["manage"])
    def pause(self, request: HttpRequest, rows: QuerySet[Endpoint]) -> None:
        """Stop sending; events are queued."""
        self.apply_each(
            request,
            rows,
            lambda row, *, actor, at: services.pause_endpoint(endpoint=row, actor=actor, at=at),
            _("%(n)d endpoints paused."),
        )

    @admin.action(description=_lazy("Resume"), permissions=["manage"])
    def resume(self, request: HttpRequest, rows: QuerySet[Endpoint]) -> None:
        """Send queued events."""
        self.apply_each(
            request,
            rows,
            lambda row, *, actor, at: services.resume_endpoint(endpoint=row, actor=actor, at=at),
            _("%(n)d endpoints resumed."),
        )


@admin.register(Delivery, site=admin_site)
class DeliveryAdmin(TenantAdmin):
    """One event for one endpoint, with the state of its delivery."""

    view_permission = Permission.WEBHOOKS_VIEW
    manage_permission = Permission.WEBHOOKS_MANAGE
    entity_type = "webhook_delivery"
    fields = (
        *("endpoint", "event_type", "event_id", "incident_id", "sequence", "body_sha256"),
        *("state", "attempt_count", "failure_count", "next_attempt_at", "delivered_at"),
        *("dead_at", "dead_reason", "created_at"),
    )
    list_display = ("event_type", "endpoint", "state", "attempt_count", "created_at", "dead_reason")
    list_filter = ("state", "event_type", "dead_reason")
    list_select_related = ("endpoint",)
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
