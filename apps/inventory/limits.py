"""Row limits of limited members: granted sites and devices, and what belongs to them."""

from collections.abc import Collection, Mapping
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from apps.authorization.access import Access
from apps.authorization.limits import NOTHING, limit_rows, rows_within
from apps.authorization.permissions import Permission
from apps.inventory.choices import EntityType
from apps.inventory.models import (
    BgpPeer,
    Device,
    DeviceCredential,
    DeviceGrant,
    Interface,
    Link,
    LoginApproval,
    OspfNeighbor,
    ProbeTarget,
    Service,
    Site,
    SiteGrant,
)

ENTITIES: Mapping[str, type[Model]] = {
    EntityType.SITE: Site,
    EntityType.DEVICE: Device,
    EntityType.INTERFACE: Interface,
    EntityType.LINK: Link,
    EntityType.BGP_PEER: BgpPeer,
    EntityType.OSPF_NEIGHBOR: OspfNeighbor,
    EntityType.PROBE_TARGET: ProbeTarget,
    EntityType.SERVICE: Service,
}


def register_limits() -> None:
    limit_rows(Site, lambda user_id: Q(pk__in=_granted_sites(user_id)))
    limit_rows(Device, _devices)
    for model in (
        Interface,
        BgpPeer,
        OspfNeighbor,
        ProbeTarget,
        Service,
        DeviceCredential,
        LoginApproval,
    ):
        limit_rows(model, lambda user_id: Q(device__in=_visible_devices(user_id)))
    # A link is visible from either end.
    limit_rows(
        Link,
        lambda user_id: (
            Q(a_device__in=_visible_devices(user_id)) | Q(z_device__in=_visible_devices(user_id))
        ),
    )


def entities_within(user_id: UUID, prefix: str = "entity_") -> Q:
    """Condition for rows that reference an entity by type and id: only entities that this member may see."""
    condition = NOTHING
    for kind, model in ENTITIES.items():
        rows = model._default_manager.filter(rows_within(model, user_id))
        condition |= Q(**{f"{prefix}type": str(kind), f"{prefix}id__in": rows.values("pk")})
    return condition


def visible_entities(access: Access, refs: Collection[tuple[str, UUID]]) -> set[tuple[str, UUID]]:
    """The given entities that this user may see. One query per type, whatever their number."""
    visible_refs: set[tuple[str, UUID]] = set()
    for kind, model in ENTITIES.items():
        ids = [pk for entity_type, pk in refs if entity_type == kind]
        rows: QuerySet[Model] = model._default_manager.filter(pk__in=ids)
        visible = access.visible(rows, Permission.INVENTORY_VIEW).values_list("pk", flat=True)
        visible_refs |= {(str(kind), pk) for pk in visible}
    return visible_refs


def _granted_sites(user_id: UUID) -> object:
    return SiteGrant.objects.filter(user_id=user_id).values("content_object_id")


def _devices(user_id: UUID) -> Q:
    granted = DeviceGrant.objects.filter(user_id=user_id).values("content_object_id")
    return Q(pk__in=granted) | Q(site__in=_granted_sites(user_id))


def _visible_devices(user_id: UUID) -> object:
    return Device.objects.filter(_devices(user_id)).values("pk")
