"""Which logins a router is tried with, in which order."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from django.core.exceptions import ValidationError

from apps.accounts.access_sessions import refuse_in_access_session
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.inventory.models import Device, DeviceCredential
from apps.inventory.services.logins import destination_change
from apps.vault.choices import CredentialKind
from apps.vault.models import CredentialSet
from apps.vault.uses import Use

#: Each refused login is a line in the router's log, and may lock the account.
MOST_PER_KIND = 5


def set_device_credentials(
    *, device: Device, credential_sets: Sequence[CredentialSet], actor: Actor, at: datetime
) -> None:
    """Say which logins to try on a router, best first; sets of several kinds may stand in one list. Held unless the
    actor may approve it.

    Idempotent. Locks: the device. Raises ValidationError.
    """
    refuse_in_access_session(actor)
    _require_few(credential_sets)
    first = next((row for row in credential_sets if _is_routeros(row)), None)
    further = [row for row in credential_sets if row != first]
    with destination_change(device.pk, actor=actor, at=at):
        locked = Device.objects.select_for_update().get(pk=device.pk)
        before = [str(row.id) for row in credentials_of([locked.pk]).get(locked.pk, [])]
        after = [str(row.id) for row in ([first] if first else []) + further]
        if before == after:
            return
        locked.credential_set = device.credential_set = first
        locked.save(update_fields=["credential_set"])
        DeviceCredential.objects.filter(device=locked).delete()
        DeviceCredential.objects.bulk_create(
            DeviceCredential(device=locked, credential_set=row, position=position)
            for position, row in enumerate(further, 1)
        )
        record(
            action="device.credentials_set",
            actor=actor,
            entity=("device", locked.id),
            at=at,
            detail={"name": locked.name, "credential_sets": [before, after]},
        )


def credentials_of(device_ids: Collection[UUID]) -> dict[UUID, list[CredentialSet]]:
    """Every login of these routers, best first within each kind. Two queries, whatever the size."""
    found: dict[UUID, list[CredentialSet]] = defaultdict(list)
    heads = Device.objects.filter(pk__in=device_ids).exclude(credential_set=None)
    for device in heads.select_related("credential_set").only("credential_set"):
        if device.credential_set is not None:
            found[device.pk].append(device.credential_set)
    further = DeviceCredential.objects.filter(device__in=device_ids)
    for row in further.select_related("credential_set").order_by("position"):
        if row.credential_set not in found[row.device_id]:
            found[row.device_id].append(row.credential_set)
    return found


def require_routeros(credential_set: CredentialSet | None) -> None:
    """A device's first login is a RouterOS one. Raises ValidationError."""
    if credential_set is not None and not _is_routeros(credential_set):
        raise ValidationError(
            {"credential_set": "Of another kind: give it by the device's credentials."}
        )


def devices_using(credential_set_id: UUID) -> list[Use]:
    """The routers that would lose this login."""
    rows = Device.objects.filter(credential_set=credential_set_id) | Device.objects.filter(
        pk__in=DeviceCredential.objects.filter(credential_set=credential_set_id).values("device")
    )
    return [Use("device", pk, name) for pk, name in rows.values_list("pk", "name")]


def _is_routeros(row: CredentialSet) -> bool:
    return row.kind == CredentialKind.ROUTEROS_API


def _require_few(credential_sets: Sequence[CredentialSet]) -> None:
    if len({row.pk for row in credential_sets}) < len(credential_sets):
        raise ValidationError({"credential_sets": "Each once."})
    for kind in CredentialKind.values:
        if sum(row.kind == kind for row in credential_sets) > MOST_PER_KIND:
            raise ValidationError({"credential_sets": f"At most {MOST_PER_KIND} of one kind."})
