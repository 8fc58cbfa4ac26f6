import uuid

from django.db import models
from django.db.models import Q

from apps.agents.choices import AuthorityStage, SigningKind, SigningState


class CertificateAuthority(models.Model):
    """A certificate authority of this installation, for agents and the ingest listener.

    Global: there is one for all tenants. Its key is sealed under the CA key file, which only the signer has.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    stage = models.CharField(max_length=10, choices=AuthorityStage.choices)
    certificate_pem = models.TextField()
    # SHA-256 of the certificate's DER in hex: the pin in enrollment tokens.
    fingerprint = models.CharField(max_length=64, unique=True)
    # Empty once retired.
    sealed_key = models.BinaryField()
    created_at = models.DateTimeField()
    promoted_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "agents_authority"
        constraints = [
            models.CheckConstraint(
                condition=Q(stage__in=AuthorityStage.values), name="agents_authority_stage_ck"
            ),
            # Two signers that start at the same time must agree on one.
            models.UniqueConstraint(
                fields=["stage"],
                condition=Q(stage__in=["active", "next"]),
                name="agents_authority_stage_uniq",
            ),
        ]


class SigningRequest(models.Model):
    """A request to the signer, and its answer. Short-lived; contains no secret.

    Global: the signer serves all tenants. A row does not authorize anything: the signer verifies token, certificate
    and agent itself.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=SigningKind.choices)
    # SHA-256 of kind and payload: a repeated request gets the same answer.
    digest = models.BinaryField(max_length=32)
    payload = models.JSONField()
    state = models.CharField(
        max_length=10, choices=SigningState.choices, default=SigningState.WAITING
    )
    answer = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    # After this the requester has given up, and the request is not answered.
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=SigningKind.values), name="agents_signingrequest_kind_ck"
            ),
            models.CheckConstraint(
                condition=Q(state__in=SigningState.values), name="agents_signingrequest_state_ck"
            ),
        ]
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=Q(state="waiting"),
                name="agents_signing_waiting_idx",
            ),
            models.Index(fields=["digest"], name="agents_signing_digest_idx"),
        ]
