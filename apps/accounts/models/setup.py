"""Setup of a new installation: the one-time code of the setup page, and who completed it."""

from django.db import models
from django.db.models import Q

from apps.accounts.models.users import User

#: Primary key of the single row.
SETUP_ID = 1


class Setup(models.Model):
    """The setup of this installation. A global table with one row.

    The code is not stored but derived from ``nonce`` and the server's secret key: every web process knows it, a copy of
    the database does not. The keeper, which has the owner's role, makes the user who completed the setup a platform
    operator; the app role cannot do that.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=SETUP_ID)
    nonce = models.CharField(max_length=64)
    expires_at = models.DateTimeField()
    # Wrong codes since the nonce was created.
    failures = models.PositiveIntegerField(default=0)
    completed_at = models.DateTimeField(null=True, blank=True)
    completed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(id=SETUP_ID), name="accounts_setup_only_ck"),
            models.CheckConstraint(
                condition=Q(completed_at=None, completed_by=None)
                | Q(completed_at__isnull=False, completed_by__isnull=False),
                name="accounts_setup_completed_ck",
            ),
        ]
