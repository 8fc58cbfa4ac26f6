"""Signing secrets: generated here, shown once, rotated in three steps without a gap for receivers."""

from datetime import datetime, timedelta
from hashlib import sha256

from django.db import transaction

from apps.accounts.access_sessions import refuse_in_access_session
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.vault.choices import Purpose
from apps.vault.services import open_secret, seal_secret, take_lease
from apps.webhooks.choices import SecretStage
from apps.webhooks.errors import EndpointInvalid, RotationOutOfStep
from apps.webhooks.models import Endpoint, Secret
from apps.webhooks.signing import make_secret

DEFAULT_GRACE = timedelta(hours=24)
LONGEST_GRACE = timedelta(days=7)

_TABLE = "webhooks_secret"


def add_secret(*, endpoint: Endpoint, stage: SecretStage, at: datetime) -> str:
    """Generate and encrypt a secret; returned only here."""
    text = make_secret()
    row = Secret(endpoint=endpoint, stage=stage, created_at=at)
    row.sealed = seal_secret(table=_TABLE, row_id=row.id, field="secret", plaintext=text.encode())
    row.save(force_insert=True)
    return text


def live_secrets(*, endpoint: Endpoint, at: datetime) -> list[str]:
    """The secrets that sign now: the current one first, then a staged one and one in its grace period.

    A lease covers one set of secrets for one day: a record per delivery would serialize all deliveries of a tenant on
    its audit chain, and attempts already record each use. Call it after all other locks are taken.
    """
    order = {SecretStage.CURRENT: 0, SecretStage.STAGED: 1, SecretStage.RETIRING: 2}
    rows = [
        row
        for row in Secret.objects.filter(endpoint=endpoint)
        if row.retire_at is None or row.retire_at > at
    ]
    rows.sort(key=lambda row: order[SecretStage(row.stage)])
    lease = take_lease(
        purpose=Purpose.WEBHOOK_SIGNING,
        holder=("webhook_endpoint", endpoint.id),
        terms=_terms(rows, at),
        actor=Actor.system("delivery.deliver"),
        at=at,
        detail={"secrets": [str(row.id) for row in rows]},
    )
    return [open_secret(row=row, field="secret", lease=lease).decode() for row in rows]


def stage_secret(*, endpoint: Endpoint, actor: Actor, at: datetime) -> str:
    """First step: a new secret signs beside the current one. Returned once.

    Raises RotationOutOfStep while another is staged.
    """
    refuse_in_access_session(actor)
    with transaction.atomic():
        _lock(endpoint)
        if Secret.objects.filter(endpoint=endpoint, stage=SecretStage.STAGED).exists():
            raise RotationOutOfStep("already_staged", "A new secret is staged already.")
        text = add_secret(endpoint=endpoint, stage=SecretStage.STAGED, at=at)
        _audit("staged", endpoint, actor, at)
    return text


def promote_secret(
    *, endpoint: Endpoint, actor: Actor, at: datetime, grace: timedelta = DEFAULT_GRACE
) -> None:
    """Second step: the staged secret becomes the current one; the old one keeps signing for ``grace``.

    Raises RotationOutOfStep when none is staged, EndpointInvalid for a grace outside 0 to 7 days.
    """
    refuse_in_access_session(actor)
    if not timedelta(0) <= grace <= LONGEST_GRACE:
        raise EndpointInvalid("grace_out_of_range", "The grace is between 0 and 7 days.")
    with transaction.atomic():
        _lock(endpoint)
        staged = Secret.objects.filter(endpoint=endpoint, stage=SecretStage.STAGED).first()
        if staged is None:
            raise RotationOutOfStep("nothing_staged", "Stage a new secret first.")
        Secret.objects.filter(endpoint=endpoint, stage=SecretStage.RETIRING).delete()
        Secret.objects.filter(endpoint=endpoint, stage=SecretStage.CURRENT).update(
            stage=SecretStage.RETIRING, retire_at=at + grace
        )
        Secret.objects.filter(pk=staged.pk).update(stage=SecretStage.CURRENT)
        _audit("promoted", endpoint, actor, at)


def retire_secret(*, endpoint: Endpoint, actor: Actor, at: datetime) -> None:
    """Third step, before the grace period ends: delete the old secret.

    Raises RotationOutOfStep when there is none.
    """
    with transaction.atomic():
        _lock(endpoint)
        rows = Secret.objects.filter(endpoint=endpoint, stage=SecretStage.RETIRING)
        if not rows.delete()[0]:
            raise RotationOutOfStep("nothing_retiring", "There is no old secret to retire.")
        _audit("retired", endpoint, actor, at)


def _terms(rows: list[Secret], at: datetime) -> str:
    ids = sha256("".join(sorted(str(row.id) for row in rows)).encode()).hexdigest()
    return f"{at:%Y-%m-%d} {ids}"


def _lock(endpoint: Endpoint) -> None:
    Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)


def _audit(step: str, endpoint: Endpoint, actor: Actor, at: datetime) -> None:
    record(
        action=f"webhook_secret.{step}",
        actor=actor,
        entity=("webhook_endpoint", endpoint.id),
        at=at,
    )
