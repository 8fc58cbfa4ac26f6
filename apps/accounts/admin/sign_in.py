"""How the tenant's people sign in, in the admin."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _lazy

from apps.accounts.admin.base import TenantAdmin
from apps.accounts.admin.site import cabinet
from apps.accounts.models import MailDomain
from apps.accounts.permissions import Permission


@admin.register(MailDomain, site=cabinet)
class MailDomainAdmin(TenantAdmin):
    """For which mail domains the tenant's identity providers may speak. Platform operators accept them."""

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
