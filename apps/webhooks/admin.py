"""Webhook endpoints in the admin."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from apps.authorization.access import Access
from apps.authorization.actors import Actor
from apps.authorization.permissions import Permission
from apps.backoffice.base import AdminForm, TenantAdmin, access_of
from apps.backoffice.site import admin_site
from apps.core import clock
from apps.delivery import services as delivery
from apps.webhooks import selectors, services
from apps.webhooks.models import Endpoint

TARGET_FIELDS = ("name", "url", "event_types", "severity_floor")
PRIVACY_FIELDS = ("hides_tenant_name", "hides_people", "hides_evidence", "is_thin")


class EndpointForm(AdminForm):
    """The endpoint with the name of its destination."""

    name = forms.CharField(label=_lazy("Name"), max_length=100)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.destination_id:
            self.initial["name"] = self.instance.name


@admin.register(Endpoint, site=admin_site)
class EndpointAdmin(TenantAdmin):
    """Receivers of incident events. The signing secret of a new one is shown once."""

    view_permission = Permission.WEBHOOKS_VIEW
    manage_permission = Permission.WEBHOOKS_MANAGE
    fresh_sign_in = True
    can_add = can_change = can_delete = True
    entity_type = "webhook_endpoint"
    form = EndpointForm
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
    list_filter = ("destination__pause_reason", "severity_floor")
    search_fields = ("destination__name", "url")
    ordering = ("destination__name",)
    actions = ("send_test", "pause", "resume")

    def tenant_rows(self, access: Access) -> QuerySet[Endpoint]:
        return selectors.endpoints()

    @admin.display(description=_lazy("Name"), ordering="destination__name")
    def name(self, row: Endpoint) -> str:
        return row.name

    @admin.display(description=_lazy("pause reason"), ordering="destination__pause_reason")
    def pause_reason(self, row: Endpoint) -> Any:
        return row.destination.get_pause_reason_display()

    @admin.display(description=_lazy("paused at"))
    def paused_at(self, row: Endpoint) -> Any:
        return row.destination.paused_at

    @admin.display(description=_lazy("last success at"), ordering="destination__last_success_at")
    def last_success_at(self, row: Endpoint) -> Any:
        return row.destination.last_success_at

    @admin.display(description=_lazy("failing since"), ordering="destination__failing_since")
    def failing_since(self, row: Endpoint) -> Any:
        return row.destination.failing_since

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
            _on_destination(delivery.test_destination),
            _("%(n)d test deliveries queued."),
        )

    @admin.action(description=_lazy("Pause"), permissions=["manage"])
    def pause(self, request: HttpRequest, rows: QuerySet[Endpoint]) -> None:
        """Stop sending; events are queued."""
        self.apply_each(
            request,
            rows,
            _on_destination(delivery.pause_destination),
            _("%(n)d endpoints paused."),
        )

    @admin.action(description=_lazy("Resume"), permissions=["manage"])
    def resume(self, request: HttpRequest, rows: QuerySet[Endpoint]) -> None:
        """Send queued events."""
        self.apply_each(
            request,
            rows,
            _on_destination(delivery.resume_destination),
            _("%(n)d endpoints resumed."),
        )


def _on_destination(act: Callable[..., object]) -> Callable[..., object]:
    """A service of destinations, for a row of this list."""
    return lambda row, *, actor, at: act(destination=row.destination, actor=actor, at=at)
