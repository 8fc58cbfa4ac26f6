"""Logins in the admin: written, never shown."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _lazy

from apps.authorization.actors import Actor
from apps.authorization.permissions import Permission
from apps.backoffice.base import AdminForm, TenantAdmin
from apps.backoffice.site import admin_site
from apps.vault import services
from apps.vault.kinds import OPTIONS, SECRET_NAMES
from apps.vault.models import CredentialSet

_MAX_SECRET_LENGTH = 16_000


def _option_field(name: str) -> forms.Field:
    label = capfirst(name.replace("_", " "))
    if not OPTIONS[name]:
        return forms.CharField(label=label, max_length=100, required=False)
    choices = [("", "-"), *((value, value) for value in OPTIONS[name])]
    return forms.ChoiceField(label=label, choices=choices, required=False)


def _secret_field(name: str) -> forms.Field:
    attrs = {"autocomplete": "new-password"}
    widget = forms.Textarea if name == "private_key" else forms.PasswordInput
    return forms.CharField(
        label=capfirst(name.replace("_", " ")),
        max_length=_MAX_SECRET_LENGTH,
        strip=False,
        required=False,
        widget=widget(attrs=attrs),
    )


class _CredentialSetForm(AdminForm):
    """The service validates per kind. Secrets are never shown; an empty field leaves the stored secret unchanged."""

    class Meta:
        model = CredentialSet
        fields = ("name", "kind", "username")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in OPTIONS:
            if name in self.fields:
                self.fields[name].initial = (self.instance.options or {}).get(name, "")


#: With the fields of every kind.
CredentialSetForm: Any = type(
    "CredentialSetForm",
    (_CredentialSetForm,),
    {
        "__doc__": _CredentialSetForm.__doc__,
        "__module__": __name__,
        **{name: _option_field(name) for name in OPTIONS},
        **{name: _secret_field(name) for name in SECRET_NAMES},
    },
)


@admin.register(CredentialSet, site=admin_site)
class CredentialSetAdmin(TenantAdmin):
    """Credentials shared by devices and webhook receivers."""

    view_permission = manage_permission = Permission.CREDENTIALS_MANAGE
    can_add = can_change = can_delete = True
    fresh_sign_in = True
    entity_type = "credential_set"
    form = CredentialSetForm
    write_only = SECRET_NAMES
    add_fields = ("name", "kind", "username", *OPTIONS, *SECRET_NAMES)
    readonly_fields = ("stored_secrets", "version", "updated_at")
    fieldsets = (
        (None, {"fields": ("name", "kind", "username", *OPTIONS)}),
        (
            _lazy("Secrets"),
            {
                "fields": ("stored_secrets", *SECRET_NAMES),
                "description": _lazy("Write-only. Fields left empty keep the stored secret."),
            },
        ),
        (_lazy("Version"), {"fields": ("version", "updated_at")}),
    )
    list_display = ("name", "kind", "username", "version", "updated_at")
    list_filter = ("kind",)
    search_fields = ("name", "username")
    ordering = ("name",)

    @admin.display(description=_lazy("Stored secrets"))
    def stored_secrets(self, row: CredentialSet) -> str:
        """The names of the stored secrets."""
        return ", ".join(services.secret_names_of(row))

    def get_readonly_fields(self, request: Any, obj: Any = None) -> Any:
        # The sealed document's format depends on the kind.
        return (*self.readonly_fields, "kind") if obj else self.readonly_fields

    def create(self, values: Mapping[str, Any], *, actor: Actor, at: datetime) -> CredentialSet:
        return services.create_credential_set(
            name=values["name"],
            kind=values["kind"],
            username=values.get("username", ""),
            options=_non_empty(values, OPTIONS),
            secrets=_non_empty(values, SECRET_NAMES),
            actor=actor,
            at=at,
        )

    def change(
        self, row: CredentialSet, changes: Mapping[str, Any], *, actor: Actor, at: datetime
    ) -> None:
        updates: dict[str, Any] = {
            name: changes[name] for name in ("name", "username") if name in changes
        }
        if changes.keys() & OPTIONS.keys():
            changed = {name: changes[name] for name in OPTIONS if name in changes}
            updates["options"] = _non_empty({**row.options, **changed}, OPTIONS)
        updates["secrets"] = _non_empty(changes, SECRET_NAMES)
        services.change_credential_set(credential_set=row, changes=updates, actor=actor, at=at)

    def remove(self, row: CredentialSet, *, actor: Actor, at: datetime) -> None:
        services.delete_credential_set(credential_set=row, actor=actor, at=at)


def _non_empty(values: Mapping[str, Any], names: Any) -> dict[str, str]:
    """The named values that are not empty."""
    return {name: values[name] for name in names if values.get(name)}
