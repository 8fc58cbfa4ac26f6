"""Parsing and validation of the ``inventory_patch`` of an ingest batch.

Pure. Invalid items are rejected by section and index, never the whole patch; unknown keys come from newer agents and
are ignored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from agent.protocol.ids import bgp_peer_id, interface_id, ospf_neighbor_id, pppoe_service_id

# PostgreSQL text cannot contain NUL.
_NO_NUL = r"^[^\x00]*\Z"
Text50 = Annotated[str, msgspec.Meta(max_length=50, pattern=_NO_NUL)]
Text100 = Annotated[str, msgspec.Meta(max_length=100, pattern=_NO_NUL)]
Text200 = Annotated[str, msgspec.Meta(max_length=200, pattern=_NO_NUL)]
Text500 = Annotated[str, msgspec.Meta(max_length=500, pattern=_NO_NUL)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=_NO_NUL)]
Mac = Annotated[str, msgspec.Meta(max_length=17, pattern=_NO_NUL)]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
AsNumber = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Mtu = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Speed = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class DeviceItem(msgspec.Struct, frozen=True):
    """System information of a router. None: not reported."""

    id: UUID
    identity: Text200 | None = None
    version: Text100 | None = None
    board_name: Text100 | None = None
    serial: Text100 | None = None
    model: Text100 | None = None
    #: The credential set of the successful login.
    credential_set: UUID | None = None
    #: SHA-256 of the TLS certificate of that login.
    certificate: Digest | None = None
    #: A presented certificate that differs from the pinned one: no credentials were sent.
    presented_certificate: Digest | None = None

    @property
    def device_id(self) -> UUID:
        return self.id

    @property
    def wire_id(self) -> UUID:
        return self.id


class InterfaceItem(msgspec.Struct, frozen=True):
    """An interface."""

    id: UUID
    device_id: UUID
    name: Name
    type: Text50 = ""
    disabled: bool | None = None
    mac_address: Mac | None = None
    comment: Text500 | None = None
    mtu: Mtu | None = None
    speed_bps: Speed | None = None

    @property
    def wire_id(self) -> UUID:
        return interface_id(self.device_id, self.name)


class BgpPeerItem(msgspec.Struct, frozen=True):
    """A BGP session."""

    id: UUID
    device_id: UUID
    remote_address: Name
    remote_as: AsNumber
    name: Text100 | None = None
    local_as: AsNumber | None = None
    disabled: bool | None = None

    @property
    def wire_id(self) -> UUID:
        return bgp_peer_id(
            self.device_id, self.name or "", self.remote_address, str(self.remote_as)
        )


class OspfNeighborItem(msgspec.Struct, frozen=True):
    """An OSPF adjacency."""

    id: UUID
    device_id: UUID
    router_id: Annotated[str, msgspec.Meta(min_length=1, max_length=50, pattern=_NO_NUL)]
    area: Text100 = ""
    address: Text100 = ""
    interface: Text100 | None = None
    instance: Text100 | None = None

    @property
    def wire_id(self) -> UUID:
        return ospf_neighbor_id(self.device_id, self.router_id, self.area, self.address)


class ServiceItem(msgspec.Struct, frozen=True):
    """A PPPoE service name on a BNG."""

    id: UUID
    device_id: UUID
    kind: Literal["pppoe"]
    name: Name

    @property
    def wire_id(self) -> UUID:
        return pppoe_service_id(self.device_id, self.name)


Item = DeviceItem | InterfaceItem | BgpPeerItem | OspfNeighborItem | ServiceItem

SECTIONS: Mapping[str, type[Item]] = {
    "devices": DeviceItem,
    "interfaces": InterfaceItem,
    "bgp_peers": BgpPeerItem,
    "ospf_neighbors": OspfNeighborItem,
    "services": ServiceItem,
}


@dataclass(frozen=True)
class Rejection:
    """One rejected item. Codes: ``bad_item``, ``bad_text``, ``bad_wire_id``, ``unknown_entity``,
    ``not_assigned``, ``too_many_entities``."""

    section: str
    index: int
    code: str
    detail: str


@dataclass
class ParsedPatch:
    """The valid items of a patch by section and wire id (the last duplicate wins), and the rejected ones."""

    items: dict[str, dict[UUID, Any]] = field(default_factory=dict)
    positions: dict[tuple[str, UUID], int] = field(default_factory=dict)
    rejected: list[Rejection] = field(default_factory=list)

    @property
    def device_ids(self) -> set[UUID]:
        """The devices of all valid items."""
        return {item.device_id for section in self.items.values() for item in section.values()}

    def reject_unless(self, is_allowed: Callable[[Any], bool], code: str, detail: str) -> None:
        """Reject the items for which ``is_allowed`` is false."""
        for section, items in self.items.items():
            for wire_id in [key for key, item in items.items() if not is_allowed(item)]:
                del items[wire_id]
                self.rejected.append(
                    Rejection(section, self.positions[section, wire_id], code, detail)
                )


def parse_patch(patch: Mapping[str, Any]) -> ParsedPatch:
    """Validate every item of an ``inventory_patch``; unknown sections and non-lists are ignored."""
    parsed = ParsedPatch()
    for section, item_type in SECTIONS.items():
        accepted = parsed.items.setdefault(section, {})
        rows = patch.get(section) or []
        for index, raw in enumerate(rows if isinstance(rows, list) else []):
            item = _parse_item(raw, item_type)
            if isinstance(item, Rejection):
                parsed.rejected.append(Rejection(section, index, item.code, item.detail))
            else:
                accepted[item.id] = item
                parsed.positions[section, item.id] = index
    return parsed


def _parse_item(raw: Any, item_type: type[Item]) -> Any:
    try:
        item = msgspec.convert(raw, item_type)
        msgspec.json.encode(item)  # raises on lone surrogates, which PostgreSQL rejects too
    except msgspec.ValidationError as error:
        return Rejection("", 0, "bad_item", str(error))
    except UnicodeEncodeError:
        return Rejection("", 0, "bad_text", "The text is not valid Unicode.")
    if item.wire_id != item.id:
        return Rejection("", 0, "bad_wire_id", "The id does not match the natural key.")
    return item
