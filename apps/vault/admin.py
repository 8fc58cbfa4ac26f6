"""Logins in the cabinet: written, never shown."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _lazy

from apps.accounts.actors import Actor
from apps.accounts.admin import CabinetForm, TenantAdmin, cabinet
from apps.accounts.permissions import Permission
from apps.vault import services
from apps.vault.models import CredentialSet


class CredentialSetForm(CabinetForm):
    """The password goes in and does not come out."""

    secret = forms.CharField(
        label=_lazy("Password"),
        max_length=1_000,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_lazy("Never shown again. Write it anew to change anything of this login."),
    )

    class Meta:
        model = CredentialSet
        fields = ("name", "kind", "username")


@admin.register(CredentialSet, site=cabinet)
class CredentialSetAdmin(TenantAdmin):
    """Logins that routers share."""

    view_permission = manage_permission = Permission.CREDENTIALS_MANAGE
    fresh_sign_in = True
    can_add = can_change = True
    entity_type = "credential_set"
    form = CredentialSetForm
    write_only = ("secret",)
    add_fields = ("name", "kind", "username", "secret")
    readonly_fields = ("version", "updated_at")
    fieldsets = (
        (None, {"fields": ("name", "kind", "username", "secret")}),
        (_lazy("Its versions"), {"fields": ("version", "updated_at")}),
    )
    list_display = ("name", "kind", "username", "version", "updated_at")
    list_filter = ("kind",)
    search_fields = ("name", "username")
    ordering = ("name",)

    def get_readonly_fields(self, request: Any, obj: Any = None) -> Any:
        # The name is how the service finds the login: another name would be another login.
        return (*self.readonly_fields, "name") if obj else self.readonly_fields

    def create(self, values: Mapping[str, Any], *, actor: Actor, at: datetime) -> CredentialSet:
        return services.store_credential_set(**values, actor=actor, at=at)

    def change(
        self, row: CredentialSet, changes: Mapping[str, Any], *, actor: Actor, at: datetime
    ) -> None:
        services.store_credential_set(
            name=row.name,
            kind=changes.get("kind", row.kind),
            username=changes.get("username", row.username),
            secret=changes["secret"],
            actor=actor,
            at=at,
        )
