from django.db import models

from apps.agents.models.agent import Agent
from apps.agents.models.authority import CertificateAuthority
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import Tenant, TenantModel


class EnrollmentToken(TenantModel):
    """The right to become an agent, once, within ten minutes. Only the SHA-256 of its secret is kept."""

    agent = TenantForeignKey(Agent, on_delete=models.CASCADE, related_name="enrollment_tokens")
    digest = models.BinaryField(max_length=32)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    # Whether its issuer might decide where logins are sent: the host that uses it is then approved.
    approves_host = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "digest"], name="agents_enrollmenttoken_digest_uniq"
            )
        ]


class AgentCertificate(models.Model):
    """Whose a certificate is. Global: a serial is looked up before the tenant is known, on every request.

    A certificate that is not here byte for byte (``fingerprint``) opens nothing, whoever signed it.
    """

    # Lower-case hexadecimal.
    serial = models.CharField(max_length=40, primary_key=True)
    fingerprint = models.BinaryField(max_length=32)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    agent_id = models.UUIDField()
    # Who signed it. Null: issued before authorities were kept apart; the signer fills it in.
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
