"""How long answers to repeated requests are kept, and their end."""

from datetime import datetime, timedelta

from apps.accounts.models import IdempotentAnswer
from apps.events import due
from apps.events.models import Due
from apps.tenancy.context import require_tenant_id

KEPT = timedelta(hours=24)
PRUNE = "accounts.prune_answers"
PRUNE_EVERY = timedelta(hours=1)
BATCH = 5000


def keep_pruning(*, at: datetime) -> None:
    """Have this tenant's answers pruned from now on. Writes once per tenant: requests must not queue at one row."""
    tenant_id = require_tenant_id()
    if not Due.objects.filter(kind=PRUNE, ref="", tenant_id=tenant_id).exists():
        due.schedule(PRUNE, at=at + PRUNE_EVERY, tenant_id=tenant_id)


def prune_answers(*, at: datetime) -> int:
    """Delete answers older than a day; returns how many."""
    old = IdempotentAnswer.objects.filter(created_at__lte=at - KEPT)
    ids = list(old.values_list("pk", flat=True)[:BATCH])
    IdempotentAnswer.objects.filter(pk__in=ids).delete()
    return len(ids)
