"""For which mail domains a tenant's identity providers may speak."""

from django.db import models

from apps.tenancy.models import TenantModel


class MailDomain(TenantModel):
    """A mail domain that the platform accepted as this tenant's. Platform operators decide; the tenant sees it."""

    # Lower-case ASCII (IDNA), without a final dot. Subdomains are domains of their own.
    domain = models.CharField(max_length=253)
    # The actor, as the audit log names it.
    accepted_by = models.JSONField()
    accepted_at = models.DateTimeField()

    class Meta:
        ordering = ["domain"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "domain"], name="accounts_maildomain_domain_uniq"
            )
        ]

    def __str__(self) -> str:
        return self.domain
