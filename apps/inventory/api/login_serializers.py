"""Serializers of router logins: where credentials are sent, and the approval of it."""

from typing import Any

from rest_framework import serializers

from apps.inventory.choices import HoldReason, LoginState
from apps.inventory.destinations import LoginStatus
from apps.inventory.models import Device


class DestinationSerializer(serializers.Serializer[Any]):
    """Destination of credentials: present or approved."""

    address = serializers.CharField()
    port = serializers.IntegerField()
    tls = serializers.BooleanField()
    credential_sets = serializers.ListField(child=serializers.UUIDField())
    agents = serializers.ListField(child=serializers.UUIDField())


class LoginSerializer(serializers.Serializer[Any]):
    """Credentials of a device: present destination, approved destination, differences."""

    device = serializers.UUIDField()
    name = serializers.CharField()
    login_state = serializers.ChoiceField(choices=LoginState.choices)
    reasons = serializers.ListField(child=serializers.ChoiceField(choices=HoldReason.choices))
    destination = serializers.CharField(
        help_text="Digest of the present destination; send it to approve."
    )
    current = DestinationSerializer()
    approved = DestinationSerializer(allow_null=True)
    approved_by = serializers.JSONField(allow_null=True)
    approved_at = serializers.DateTimeField(allow_null=True)
    certificate = serializers.CharField(
        help_text="SHA-256 of the pinned TLS certificate, or empty."
    )
    presented_certificate = serializers.CharField(
        help_text="Another certificate that the device presented; no credentials were sent to it. Or empty."
    )


class LoginsSerializer(serializers.Serializer[Any]):
    results = LoginSerializer(many=True)


class ApprovalSerializer(serializers.Serializer[Any]):
    """The digest of the destination to approve."""

    destination = serializers.RegexField(r"\A[0-9a-f]{64}\Z", max_length=64)


class DeviceApprovalSerializer(ApprovalSerializer):
    device = serializers.UUIDField()


class ApprovalsSerializer(serializers.Serializer[Any]):
    """Up to 1000 devices; all are approved or none."""

    devices = DeviceApprovalSerializer(  # type: ignore[call-arg]  # arguments of the ListSerializer, unknown to the stubs
        many=True, allow_empty=False, max_length=1000
    )


class CertificateAcceptanceSerializer(serializers.Serializer[Any]):
    """The presented certificate to accept."""

    certificate = serializers.RegexField(r"\A[0-9a-f]{64}\Z", max_length=64)


def login_document(device: Device, status: LoginStatus) -> dict[str, Any]:
    """The document of ``LoginSerializer``."""
    current, row = status.destination, status.approval
    return {
        "device": device.pk,
        "name": device.name,
        "login_state": str(status.state),
        "reasons": [str(reason) for reason in status.reasons],
        "destination": current.digest,
        "current": {
            "address": current.address,
            "port": current.port,
            "tls": current.tls,
            "credential_sets": sorted(current.credential_sets),
            "agents": sorted(current.agents),
        },
        "approved": row
        and {
            "address": row.address,
            "port": row.port,
            "tls": row.tls,
            "credential_sets": row.credential_sets,
            "agents": row.agents,
        },
        "approved_by": row and row.approved_by,
        "approved_at": row and row.approved_at,
        "certificate": row.certificate if row else "",
        "presented_certificate": row.presented_certificate if row else "",
    }
