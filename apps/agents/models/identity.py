from django.db import models

from apps.agents.models.agent import Agent
from apps.agents.models.authority import CertificateAuthority
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import Tenant, TenantModel


class EnrollmentToken(TenantModel):
    """A one-time enrollment token, valid for ten minutes. Only a hash of its secret is stored."""

    agent = TenantForeignKey(Agent, on_delete=models.CASCADE, related_name="enrollment_tokens")
    digest = models.BinaryField(max_length=32)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    # Whether its issuer may approve hosts: the host that uses it is then approved.
    approves_host = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "digest"], name="agents_enrollmenttoken_digest_uniq"
            )
        ]


class AgentCertificate(models.Model):
    """An issued client certificate. Global: it is looked up by serial on every request, before the tenant is known.

    A certificate whose ``fingerprint`` does not match is refused, whoever signed it.
    """

    # Lower-case hexadecimal.
    serial = models.CharField(max_length=40, primary_key=True)
    fingerprint = models.BinaryField(max_length=32)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    agent_id = models.UUIDField()
    # The signing authority. Null in rows from before this column existed; the signer fills it in at its start.
    authority = models.ForeignKey(
        CertificateAuthority, on_delete=models.PROTECT, null=True, related_name="+"
    )
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    issued_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "agents_certificate"
        indexes = [models.Index(fields=["tenant", "agent_id"], name="agents_certificate_agent_idx")]
