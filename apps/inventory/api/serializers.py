"""Serializers of the inventory. The tenant is never a field; source and override fields are read-only."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.inventory.choices import LoginState, ProbeMethod
from apps.inventory.destinations import LoginStatus, login_status
from apps.inventory.models import (
    BgpPeer,
    Device,
    Interface,
    Link,
    OspfNeighbor,
    ProbeTarget,
    Service,
    Site,
)
from apps.inventory.profiles import (
    DEFAULT_PROFILE,
    MAX_TAG_LENGTH,
    MAX_TAGS,
    validate_polling_profile,
    validate_tags,
)
from apps.inventory.services.credentials import MAX_PER_KIND
from apps.rest.fields import BoundedChoices, BoundedRelated
from apps.vault.kinds import KIND_SPECS
from apps.vault.models import CredentialSet

_DISCOVERED = ["source", "operator_fields", "last_seen_at"]


class SiteSerializer(serializers.ModelSerializer[Site]):
    class Meta:
        model = Site
        fields = ["id", "name", "code", "latitude", "longitude"]


@extend_schema_field(
    {
        "type": "object",
        "maxProperties": len(DEFAULT_PROFILE),
        "additionalProperties": {"type": "number"},
    }
)
class PollingProfileField(serializers.JSONField):
    """Seconds by tier name; see ``profiles``."""


@extend_schema_field(
    {
        "type": "array",
        "maxItems": MAX_TAGS,
        "items": {"type": "string", "maxLength": MAX_TAG_LENGTH},
    }
)
class TagsField(serializers.JSONField):
    """Distinct short strings."""


class DeviceSerializer(serializers.ModelSerializer[Device]):
    polling_profile = PollingProfileField(required=False, validators=[validate_polling_profile])
    tags = TagsField(required=False, validators=[validate_tags])
    login_state = serializers.SerializerMethodField(
        help_text="Held: agents receive no credentials until the destination is approved."
    )

    class Meta:
        model = Device
        _polled = ["identity", "version", "board_name", "model", "serial", "discovered_at"]
        _polled += ["working_credential_set"]
        fields = [
            "id",
            "name",
            "site",
            "role",
            "collector",
            "management_address",
            "api_port",
            "api_tls",
            "credential_set",
            "polling_profile",
            "tags",
            *_polled,
            "login_state",
            *_DISCOVERED,
        ]
        read_only_fields = [*_polled, *_DISCOVERED]

    @extend_schema_field(serializers.ChoiceField(choices=LoginState.choices))
    def get_login_state(self, device: Device) -> str:
        statuses: Mapping[UUID, LoginStatus] = self.context.get("login_statuses") or {}
        return str((statuses.get(device.pk) or login_status(device)).state)


class DeviceLoginSerializer(serializers.ModelSerializer[CredentialSet]):
    """A credential set of a device: name and kind, without secrets."""

    class Meta:
        model = CredentialSet
        fields = ["id", "name", "kind"]


class DeviceCredentialsSerializer(serializers.Serializer[Any]):
    """Credential sets in the order in which they are tried; kinds may be mixed."""

    credential_sets = BoundedRelated(
        child_relation=serializers.PrimaryKeyRelatedField(queryset=CredentialSet.objects.all()),
        max_length=MAX_PER_KIND * len(KIND_SPECS),
        write_only=True,
    )
    results = DeviceLoginSerializer(many=True, read_only=True)


class InterfaceSerializer(serializers.ModelSerializer[Interface]):
    class Meta:
        model = Interface
        fields = [
            "id",
            "device",
            "name",
            "type",
            "mac_address",
            "comment",
            "disabled",
            "mtu",
            "speed_bps",
            *_DISCOVERED,
        ]
        read_only_fields = [
            "device",
            "name",
            "type",
            "mac_address",
            "disabled",
            "mtu",
            *_DISCOVERED,
        ]


class BgpPeerSerializer(serializers.ModelSerializer[BgpPeer]):
    class Meta:
        model = BgpPeer
        fields = [
            "id",
            "device",
            "name",
            "remote_address",
            "remote_as",
            "local_as",
            "disabled",
            *_DISCOVERED,
        ]
        read_only_fields = ["disabled", *_DISCOVERED]


class OspfNeighborSerializer(serializers.ModelSerializer[OspfNeighbor]):
    class Meta:
        model = OspfNeighbor
        fields = [
            "id",
            "device",
            "router_id",
            "area",
            "address",
            "interface_name",
            "instance",
            *_DISCOVERED,
        ]
        read_only_fields = ["instance", *_DISCOVERED]


class LinkSerializer(serializers.ModelSerializer[Link]):
    class Meta:
        model = Link
        fields = [
            "id",
            "name",
            "kind",
            "a_device",
            "a_interface_name",
            "a_interface",
            "z_device",
            "z_interface_name",
            "z_interface",
            "capacity_bps",
        ]
        read_only_fields = ["a_interface", "z_interface"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        a_device = attrs.get("a_device", getattr(self.instance, "a_device", None))
        z_device = attrs.get("z_device", getattr(self.instance, "z_device", None))
        if a_device is not None and a_device == z_device:
            raise serializers.ValidationError(
                {"z_device": "A link joins two different devices."}, code="same_device"
            )
        return attrs


class ProbeTargetSerializer(serializers.ModelSerializer[ProbeTarget]):
    class Meta:
        model = ProbeTarget
        fields = [
            "id",
            "name",
            "device",
            "method",
            "address",
            "port",
            "interval_seconds",
            "count",
            "timeout_seconds",
        ]


class ServiceSerializer(serializers.ModelSerializer[Service]):
    class Meta:
        model = Service
        fields = ["id", "name", "kind", "device", *_DISCOVERED]
        read_only_fields = _DISCOVERED


class DefaultProbesSerializer(serializers.Serializer[Any]):
    """Options of the default probe targets."""

    echo_port = serializers.IntegerField(min_value=1, max_value=65535, required=False)
    methods = BoundedChoices(choices=ProbeMethod.choices, default=lambda: set(ProbeMethod.values))
    interval_seconds = serializers.IntegerField(min_value=1, max_value=3600, default=10)
