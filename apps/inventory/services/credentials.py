"""The credential sets of a device and their order."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from django.core.exceptions import ValidationError

from agent.collectors.registry import facts_of
from apps.accounts.access_sessions import refuse_in_access_session
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.inventory.models import Device, DeviceCredential
from apps.inventory.services.login_approvals import destination_change
from apps.vault.kinds import KIND_SPECS
from apps.vault.models import CredentialSet
from apps.vault.usages import Usage

#: Each refused login is logged by the router and may lock the account.
MAX_PER_KIND = 5


def set_device_credentials(
    *, device: Device, credential_sets: Sequence[CredentialSet], actor: Actor, at: datetime
) -> None:
    """Set the device's credential sets, in the order in which they are tried; kinds may be mixed. The credentials are
    held unless the actor may approve them.

    Idempotent. Locks: the device. Raises ValidationError.
    """
    refuse_in_access_session(actor)
    _validate_credential_sets(credential_sets)
    kinds = device.collector_facts.credential_kinds
    first = next((row for row in credential_sets if row.kind in kinds), None)
    fallback = [row for row in credential_sets if row != first]
    with destination_change(device.pk, actor=actor, at=at):
        locked = Device.objects.select_for_update().get(pk=device.pk)
        before = [str(row.id) for row in credentials_of([locked.pk]).get(locked.pk, [])]
        after = [str(row.id) for row in ([first] if first else []) + fallback]
        if before == after:
            return
        locked.credential_set = device.credential_set = first
        locked.save(update_fields=["credential_set"])
        DeviceCredential.objects.filter(device=locked).delete()
        DeviceCredential.objects.bulk_create(
            DeviceCredential(device=locked, credential_set=row, position=position)
            for position, row in enumerate(fallback, 1)
        )
        record(
            action="device.credentials_set",
            actor=actor,
            entity=("device", locked.id),
            at=at,
            detail={"name": locked.name, "credential_sets": [before, after]},
        )


def credentials_of(device_ids: Collection[UUID]) -> dict[UUID, list[CredentialSet]]:
    """All credential sets of these devices, in order within each kind. Two queries, whatever the size."""
    credential_sets: dict[UUID, list[CredentialSet]] = defaultdict(list)
    primary = Device.objects.filter(pk__in=device_ids).exclude(credential_set=None)
    for device in primary.select_related("credential_set").only("credential_set"):
        if device.credential_set is not None:
            credential_sets[device.pk].append(device.credential_set)
    fallback = DeviceCredential.objects.filter(device__in=device_ids)
    for row in fallback.select_related("credential_set").order_by("position"):
        if row.credential_set not in credential_sets[row.device_id]:
            credential_sets[row.device_id].append(row.credential_set)
    return credential_sets


def require_usable_by(collector: str, credential_set: CredentialSet | None) -> None:
    """``Device.credential_set`` must be of a kind that its collector logs in with. Raises ValidationError."""
    facts = facts_of(collector)
    if credential_set is not None and credential_set.kind not in facts.credential_kinds:
        kinds = ", ".join(kind.label for kind in facts.credentials)
        raise ValidationError(
            {
                "credential_set": f"Not a {kinds} credential set: use the device's credentials endpoint."
            }
        )


def devices_using(credential_set_id: UUID) -> list[Usage]:
    """The devices that use this credential set."""
    rows = Device.objects.filter(credential_set=credential_set_id) | Device.objects.filter(
        pk__in=DeviceCredential.objects.filter(credential_set=credential_set_id).values("device")
    )
    return [Usage("device", pk, name) for pk, name in rows.values_list("pk", "name")]


def _validate_credential_sets(credential_sets: Sequence[CredentialSet]) -> None:
    if len({row.pk for row in credential_sets}) < len(credential_sets):
        raise ValidationError({"credential_sets": "Duplicate credential sets are not allowed."})
    for kind in KIND_SPECS:
        if sum(row.kind == kind for row in credential_sets) > MAX_PER_KIND:
            raise ValidationError({"credential_sets": f"At most {MAX_PER_KIND} of one kind."})
