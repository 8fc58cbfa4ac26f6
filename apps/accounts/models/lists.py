"""What a member has made of a list."""

from django.db import models
from django.db.models import Q

from apps.accounts.choices import ListPage
from apps.accounts.models.people import User
from apps.tenancy.models import TenantModel


class ListSetting(TenantModel):
    """One member's own look at one list: columns that they hide, filters that they gave a name.

    Nobody else sees it, and it ends with the membership.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="list_settings")
    page = models.CharField(max_length=20, choices=ListPage.choices)
    # Keys of columns; one that the list no longer has means nothing.
    hidden = models.JSONField(default=list, blank=True)
    # In the order of their saving: {"name": ..., "query": ...}, names are unique.
    views = models.JSONField(default=list, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "user", "page"], name="accounts_listsetting_page_uniq"
            ),
            models.CheckConstraint(
                condition=Q(page__in=ListPage.values), name="accounts_listsetting_page_ck"
            ),
        ]
