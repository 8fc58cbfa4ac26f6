"""Sign-in policy and mail domains in the admin."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _lazy

from apps.accounts.factor_policy import set_sign_in_policy
from apps.accounts.models import MailDomain, SignInPolicy
from apps.authorization.access import Access
from apps.authorization.actors import Actor
from apps.authorization.choices import Role
from apps.authorization.permissions import Permission
from apps.backoffice.base import AdminForm, TenantAdmin
from apps.backoffice.site import admin_site


@admin.register(MailDomain, site=admin_site)
class MailDomainAdmin(TenantAdmin):
    """The mail domains accepted for the tenant's identity providers. Platform operators accept them."""

    view_permission = Permission.TENANT_MANAGE
    entity_type = "mail_domain"
    fields = ("domain", "operator", "accepted_at")
    readonly_fields = ("operator",)
    list_display = ("domain", "operator", "accepted_at")
    search_fields = ("domain",)
    ordering = ("domain",)

    @admin.display(description=_lazy("Accepted by"))
    def operator(self, row: MailDomain) -> str:
        return str(row.accepted_by["label"])


class SignInPolicyForm(AdminForm):
    """The sign-in policy, with roles by name."""

    second_factor_roles = forms.MultipleChoiceField(
        label=_lazy("Roles that need a second factor"),
        choices=Role.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_lazy(
            "Their members must set one up at their next request, before they can continue."
        ),
    )
    accepts_provider_factor = forms.BooleanField(
        label=_lazy("Accept the second factor of identity providers"),
        required=False,
        help_text=_lazy("If the provider reports it (amr: mfa)."),
    )

    class Meta:
        model = SignInPolicy
        fields = ("second_factor_roles", "accepts_provider_factor")


@admin.register(SignInPolicy, site=admin_site)
class SignInPolicyAdmin(TenantAdmin):
    """The sign-in policy of the current tenant."""

    view_permission = manage_permission = Permission.TENANT_MANAGE
    can_change = True
    fresh_sign_in = True
    entity_type = "tenant"
    form = SignInPolicyForm
    fields = ("second_factor_roles", "accepts_provider_factor")
    list_display = ("name", "roles", "accepts_provider_factor")

    def tenant_rows(self, access: Access) -> QuerySet[SignInPolicy]:
        return SignInPolicy.objects.filter(pk=access.tenant.pk)

    @admin.display(description=_lazy("Roles that need a second factor"))
    def roles(self, row: SignInPolicy) -> str:
        return ", ".join(str(Role(role).label) for role in row.second_factor_roles)

    def change(self, row: Any, changes: Mapping[str, Any], *, actor: Actor, at: datetime) -> None:
        now = {name: getattr(row, name) for name in self.fields}
        set_sign_in_policy(tenant=row, actor=actor, at=at, **{**now, **changes})
