"""Writes of the topology."""

from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.inventory.selectors import unknown_refs
from apps.topology.choices import GroupMode, MemberType
from apps.topology.errors import GroupInvalid
from apps.topology.graph import Ref
from apps.topology.models import DependencyGroup, DependencyMember

MAX_MEMBERS = 500

__all__ = [
    "GroupInvalid",
    "create_dependency_group",
    "delete_dependency_group",
    "update_dependency_group",
]


def create_dependency_group(
    *,
    dependent: Ref,
    mode: str,
    members: Collection[Ref],
    k: int | None = None,
    note: str = "",
    actor: Actor,
    at: datetime,
) -> DependencyGroup:
    """Define what an entity depends on. Raises GroupInvalid."""
    group = DependencyGroup(
        dependent_type=dependent[0], dependent_id=dependent[1], mode=mode, k=k, note=note
    )
    member_refs = _validated(group, members)
    with transaction.atomic():
        group.save(force_insert=True)
        _write_members(group, member_refs)
        _record("created", group, member_refs, actor, at)
    return group


def update_dependency_group(
    *,
    group: DependencyGroup,
    mode: str,
    members: Collection[Ref],
    k: int | None = None,
    note: str = "",
    actor: Actor,
    at: datetime,
) -> DependencyGroup:
    """Replace mode and members of a group; the dependent stays. Raises GroupInvalid."""
    group.mode, group.k, group.note = mode, k, note
    member_refs = _validated(group, members)
    with transaction.atomic():
        DependencyGroup.objects.select_for_update().get(pk=group.pk)
        group.save(update_fields=["mode", "k", "note"])
        DependencyMember.objects.filter(group=group).delete()
        _write_members(group, member_refs)
        _record("changed", group, member_refs, actor, at)
    return group


def delete_dependency_group(*, group: DependencyGroup, actor: Actor, at: datetime) -> None:
    """Delete a dependency group."""
    with transaction.atomic():
        _record("deleted", group, (), actor, at)
        group.delete()


def _validated(group: DependencyGroup, members: Collection[Ref]) -> list[Ref]:
    member_refs = sorted({(str(kind), member_id) for kind, member_id in members})
    dependent = (str(group.dependent_type), group.dependent_id)
    if group.mode not in GroupMode.values:
        raise GroupInvalid(message="The mode must be any, all or k_of_n.", mode=group.mode)
    if not 1 <= len(member_refs) <= MAX_MEMBERS:
        raise GroupInvalid(message=f"A group must have 1 to {MAX_MEMBERS} members.")
    if dependent in member_refs:
        raise GroupInvalid(message="An entity cannot depend on itself.")
    is_k_in_range = 1 <= group.k <= len(member_refs) if group.k is not None else False
    if (group.mode == GroupMode.K_OF_N) != (group.k is not None) or (
        group.mode == GroupMode.K_OF_N and not is_k_in_range
    ):
        raise GroupInvalid(
            message="k_of_n needs k between 1 and the number of members; other modes take no k.",
            k=group.k,
        )
    refs = [dependent, *member_refs]
    unknown = [ref for ref in refs if ref[0] not in MemberType.values] or unknown_refs(refs)
    if unknown:
        raise GroupInvalid(
            message="Some members do not exist.",
            members=", ".join(f"{kind} {member_id}" for kind, member_id in unknown),
        )
    return member_refs


def _write_members(group: DependencyGroup, members: Collection[Ref]) -> None:
    DependencyMember.objects.bulk_create(
        DependencyMember(group=group, member_type=kind, member_id=member_id)
        for kind, member_id in members
    )


def _record(
    verb: str, group: DependencyGroup, members: Collection[Ref], actor: Actor, at: datetime
) -> None:
    record(
        action=f"dependency_group.{verb}",
        actor=actor,
        entity=("dependency_group", group.id),
        at=at,
        detail={
            "dependent": [group.dependent_type, str(group.dependent_id)],
            "mode": group.mode,
            "k": group.k,
            "members": [[kind, str(member_id)] for kind, member_id in members],
        },
    )
