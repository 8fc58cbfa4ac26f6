"""Mail domains that a tenant's identity providers may sign in."""

from django.db import models

from apps.tenancy.models import TenantModel


class MailDomain(TenantModel):
    """A mail domain that a platform operator accepted for this tenant. Read-only for the tenant."""

    # Lower-case ASCII (IDNA), without a final dot. Subdomains are separate domains.
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
