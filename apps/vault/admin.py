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
from apps.vault.kinds import SECRET_NAMES, SHAPES
from apps.vault.models import CredentialSet

#: Option -> the values that it may have (none: free text), of whatever kind.
OPTIONS = {name: values for shape in SHAPES.values() for name, values in shape.options.items()}
_LONGEST = 16_000


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
        max_length=_LONGEST,
        strip=False,
        required=False,
        widget=widget(attrs=attrs),
    )


class CredentialSetForm(AdminForm):
    """What a kind needs, its service knows; secrets go in and do not come out, and an empty one stays as it is."""

    class Meta:
        model = CredentialSet
        fields = ("name", "kind", "username")

    auth_protocol = _option_field("auth_protocol")
    priv_protocol = _option_field("priv_protocol")
    scheme = _option_field("scheme")
    header_name = _option_field("header_name")
    password = _secret_field("password")
    community = _secret_field("community")
    auth_password = _secret_field("auth_password")
    priv_password = _secret_field("priv_password")
    private_key = _secret_field("private_key")
    passphrase = _secret_field("passphrase")
    token = _secret_field("token")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in OPTIONS:
            if name in self.fields:
                self.fields[name].initial = (self.instance.options or {}).get(name, "")


@admin.register(CredentialSet, site=admin_site)
class CredentialSetAdmin(TenantAdmin):
    """Logins that routers and receivers share."""

    view_permission = manage_permission = Permission.CREDENTIALS_MANAGE
    can_add = can_change = can_delete = True
    fresh_sign_in = True
    entity_type = "credential_set"
    form = CredentialSetForm
    write_only = SECRET_NAMES
    add_fields = ("name", "kind", "username", *OPTIONS, *SECRET_NAMES)
    readonly_fields = ("holds", "version", "updated_at")
    fieldsets = (
        (None, {"fields": ("name", "kind", "username", *OPTIONS)}),
        (
            _lazy("Its secrets"),
            {
                "fields": ("holds", *SECRET_NAMES),
                "description": _lazy("Never shown again. What is left empty stays as it is."),
            },
        ),
        (_lazy("Its versions"), {"fields": ("version", "updated_at")}),
    )
    list_display = ("name", "kind", "username", "version", "updated_at")
    list_filter = ("kind",)
    search_fields = ("name", "username")
    ordering = ("name",)

    @admin.display(description=_lazy("Holds"))
    def holds(self, row: CredentialSet) -> str:
        """The names of its secrets."""
        return ", ".join(services.held_secrets(row))

    def get_readonly_fields(self, request: Any, obj: Any = None) -> Any:
        # What is sealed belongs to its kind.
        return (*self.readonly_fields, "kind") if obj else self.readonly_fields

    def create(self, values: Mapping[str, Any], *, actor: Actor, at: datetime) -> CredentialSet:
        return services.create_credential_set(
            name=values["name"],
            kind=values["kind"],
            username=values.get("username", ""),
            options=_given(values, OPTIONS),
            secrets=_given(values, SECRET_NAMES),
            actor=actor,
            at=at,
        )

    def change(
        self, row: CredentialSet, changes: Mapping[str, Any], *, actor: Actor, at: datetime
    ) -> None:
        asked: dict[str, Any] = {
            name: changes[name] for name in ("name", "username") if name in changes
        }
        if changes.keys() & OPTIONS.keys():
            changed = {name: changes[name] for name in OPTIONS if name in changes}
            asked["options"] = _given({**row.options, **changed}, OPTIONS)
        asked["secrets"] = _given(changes, SECRET_NAMES)
        services.change_credential_set(credential_set=row, changes=asked, actor=actor, at=at)

    def remove(self, row: CredentialSet, *, actor: Actor, at: datetime) -> None:
        services.delete_credential_set(credential_set=row, actor=actor, at=at)


def _given(values: Mapping[str, Any], names: Any) -> dict[str, str]:
    """Those of these names that say something."""
    return {name: values[name] for name in names if values.get(name)}
