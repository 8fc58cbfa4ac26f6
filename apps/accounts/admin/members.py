"""Members, invitations and API tokens in the admin."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from apps.accounts import invitations, members, services
from apps.accounts.access import member_access
from apps.accounts.models import ApiToken, Invitation, Membership
from apps.accounts.tokens import issue_token_as
from apps.authorization.access import Access
from apps.authorization.actors import Actor
from apps.authorization.permissions import Permission
from apps.backoffice.base import AdminForm, TenantAdmin, access_of
from apps.backoffice.site import admin_site
from apps.core import clock


class MemberForm(AdminForm):
    """Changes the role of a member. Members are added by ``InvitationAdmin``."""

    class Meta:
        model = Membership
        fields = ("role", "is_limited")


@admin.register(Membership, site=admin_site)
class MembershipAdmin(TenantAdmin):
    """The members of the tenant and their roles."""

    view_permission = Permission.MEMBERS_VIEW
    manage_permission = Permission.MEMBERS_MANAGE
    fresh_sign_in = True
    can_change = can_delete = True
    entity_type = "user"
    form = MemberForm
    fields = ("person", "role", "is_limited")
    readonly_fields = ("person",)
    list_display = ("person", "address", "role", "is_limited")
    list_filter = ("role", "is_limited")
    list_select_related = ("user",)
    search_fields = ("user__email", "user__first_name", "user__last_name")
    ordering = ("user__email",)

    def tenant_rows(self, access: Access) -> QuerySet[Membership]:
        return Membership.objects.filter(tenant=access.tenant).select_related("user")

    @admin.display(description=_lazy("User"), ordering="user__email")
    def person(self, row: Membership) -> str:
        return row.user.label

    @admin.display(description=_lazy("E-mail"))
    def address(self, row: Membership) -> str:
        return row.user.address

    def change(
        self, row: Membership, changes: Mapping[str, Any], *, actor: Actor, at: datetime
    ) -> None:
        members.change_member(member=row, changes=changes, actor=actor, at=at)

    def remove(self, row: Membership, *, actor: Actor, at: datetime) -> None:
        members.remove_member(member=row, actor=actor, at=at)

    def deleted_with(self, row: Membership) -> list[str]:
        return [_("Their API tokens are revoked and their grants are deleted.")]

    def audited_id(self, row: Membership) -> str:
        return str(row.user_id)


class InvitationForm(AdminForm):
    """The address and role of an invitation. It does not reveal whether the address has an account."""

    class Meta:
        model = Invitation
        fields = ("email", "role", "is_limited")

    def validate_constraints(self) -> None:
        """Left to the service: it replaces an open invitation of the same address."""


@admin.register(Invitation, site=admin_site)
class InvitationAdmin(TenantAdmin):
    """Invitations to the tenant. The membership exists once the invitation is accepted."""

    view_permission = manage_permission = Permission.MEMBERS_MANAGE
    fresh_sign_in = True
    can_add = True
    entity_type = "invitation"
    form = InvitationForm
    add_fields = ("email", "role", "is_limited")
    fields = (
        *("email", "role", "is_limited", "mail_state", "created_at", "expires_at"),
        *("accepted_at", "declined_at", "revoked_at"),
    )
    list_display = ("email", "role", "is_limited", "mail", "expires_at", "ended")
    list_filter = (
        ("accepted_at", admin.EmptyFieldListFilter),
        ("revoked_at", admin.EmptyFieldListFilter),
    )
    search_fields = ("email",)
    ordering = ("-created_at", "pk")
    actions = ("revoke",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            raise ValidationError(_("Invitations cannot be changed. Create a new one."))
        created, key = invitations.invite_as(
            access=member_access(access_of(request)),
            at=clock.now(),
            **{name: form.cleaned_data[name] for name in ("email", "role", "is_limited")},
        )
        obj.__dict__.update(created.__dict__)
        if key:
            text = _("Copy the link now and hand it over. It is not shown again: %(link)s")
            self.message_user(
                request, text % {"link": invitations.invitation_link(key)}, messages.WARNING
            )
        else:
            text = _("The invitation will be sent to %(email)s.") % {"email": created.email}
            self.message_user(request, text, messages.SUCCESS)

    @admin.display(description=_lazy("Mail"))
    def mail(self, row: Invitation) -> str:
        return row.get_mail_state_display() or _("Link handed over")

    @admin.display(description=_lazy("Ended"))
    def ended(self, row: Invitation) -> str:
        if row.accepted_at:
            return _("Accepted")
        if row.declined_at:
            return _("Declined")
        return _("Revoked") if row.revoked_at else ""

    @admin.action(description=_lazy("Revoke"), permissions=["manage"])
    def revoke(self, request: HttpRequest, rows: QuerySet[Invitation]) -> None:
        """Revoke them. Accepted invitations and their memberships are not affected."""
        self.apply_each(
            request,
            rows,
            lambda row, *, actor, at: invitations.revoke_invitation(
                invitation=row, actor=actor, at=at
            ),
            _("%(n)d invitations were revoked."),
        )


class TokenForm(AdminForm):
    """A new token, with all permissions of its creator or with some scopes only."""

    name = forms.CharField(label=_lazy("Name"), max_length=100)
    days = forms.IntegerField(
        label=_lazy("Expires after (days)"), min_value=1, max_value=730, initial=365
    )
    scopes = forms.MultipleChoiceField(
        label=_lazy("Scopes"),
        choices=[(permission.value, permission.value) for permission in Permission],
        required=False,
        help_text=_lazy("None selected: all your permissions."),
    )
    ends_with_password = forms.BooleanField(
        label=_lazy("Revoke when the password changes"), required=False
    )

    class Meta:
        model = ApiToken
        fields = ("name",)

    def clean_scopes(self) -> list[str] | None:
        return self.cleaned_data["scopes"] or None


@admin.register(ApiToken, site=admin_site)
class ApiTokenAdmin(TenantAdmin):
    """API tokens. A new token is shown once."""

    view_permission = manage_permission = Permission.TOKENS_MANAGE
    fresh_sign_in = True
    can_add = True
    entity_type = "api_token"
    form = TokenForm
    write_only = ("days",)
    add_fields = ("name", "days", "scopes", "ends_with_password")
    fields = (
        "name",
        "prefix",
        "holder",
        "scopes",
        "ends_with_password",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_display = ("name", "prefix", "holder", "expires_at", "last_used_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("user",)
    search_fields = ("name", "prefix", "user__email")
    ordering = ("-created_at",)
    actions = ("revoke",)

    def tenant_rows(self, access: Access) -> QuerySet[ApiToken]:
        return ApiToken.objects.filter(tenant=access.tenant).select_related("user")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            raise ValidationError(_("Tokens cannot be changed. Create a new one."))
        access = member_access(access_of(request))
        created, token = issue_token_as(
            access=access,
            at=clock.now(),
            **{name: form.cleaned_data[name] for name in self.add_fields},
        )
        obj.__dict__.update(created.__dict__)
        text = _("Copy the token now. It is not shown again: %(token)s") % {"token": token}
        self.message_user(request, text, messages.WARNING)

    @admin.display(description=_lazy("Acts as"), ordering="user__email")
    def holder(self, row: ApiToken) -> str:
        return row.user.label

    @admin.action(description=_lazy("Revoke"), permissions=["manage"])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiToken]) -> None:
        """Revoke them."""
        self.apply_each(
            request,
            rows,
            lambda row, *, actor, at: services.revoke_token(token=row, actor=actor, at=at),
            _("%(n)d tokens were revoked."),
        )
