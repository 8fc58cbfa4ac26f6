"""Thin: one service per task."""

from uuid import UUID

from celery import shared_task

from apps.authorization.actors import Actor
from apps.core import clock
from apps.events.queues import Queue
from apps.vault.services.rotation import RESEAL, continue_rotation


@shared_task(name=RESEAL, queue=Queue.UPKEEP)
def reseal(*, tenant_id: str, ref: str = "") -> None:
    """Continue a tenant's data key rotation."""
    continue_rotation(tenant_id=UUID(tenant_id), actor=Actor.system(RESEAL), at=clock.now())
