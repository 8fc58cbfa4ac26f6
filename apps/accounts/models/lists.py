"""Personal settings of lists."""

from django.db import models
from django.db.models import Q

from apps.accounts.choices import ListPage
from apps.accounts.models.users import User
from apps.tenancy.models import TenantModel


class ListSetting(TenantModel):
    """One member's settings of one list: hidden columns and saved views. Deleted with the membership."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="list_settings")
    page = models.CharField(max_length=20, choices=ListPage.choices)
    # Keys of columns; unknown keys are ignored.
    hidden = models.JSONField(default=list, blank=True)
    # In the order they were saved: {"name": ..., "query": ...}; names are unique.
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
