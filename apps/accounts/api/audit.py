"""`audit-logs`: the tenant's audit log, and whether its chain is intact.

The audit app lies below accounts, which records there: its interfaces are here.
"""

import re
from typing import Any, ClassVar

from django.core.signing import BadSignature, Signer
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from apps.audit.chain import Checkpoint, Fault
from apps.audit.models import Record
from apps.audit.verification import State, Step, verify_step
from apps.authorization.permissions import Permission
from apps.rest.pagination import SignedCursorPagination
from apps.rest.views import TenantViewSet

HEAD_PATTERN = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")


class AuditLogSerializer(serializers.ModelSerializer[Record]):
    """One record: who did what to which object, when. ``hash`` covers the record and the hash before it."""

    hash = serializers.SerializerMethodField(help_text="SHA-256 in hexadecimal.")

    class Meta:
        model = Record
        fields: ClassVar[list[str]] = [
            *("id", "sequence", "at", "action", "actor"),
            *("entity_type", "entity_id", "detail", "hash"),
        ]
        read_only_fields = fields

    def get_hash(self, row: Record) -> str:
        return bytes(row.digest).hex()


class VerificationSerializer(serializers.Serializer[Any]):
    """The result of one verification step."""

    state = serializers.ChoiceField(choices=[str(state) for state in State])
    verified_to = serializers.IntegerField(help_text="The last record that is known to be intact.")
    first_bad = serializers.IntegerField(
        allow_null=True, help_text="Where the chain is broken: the first record that is wrong."
    )
    fault = serializers.ChoiceField(choices=[str(fault) for fault in Fault], allow_null=True)
    head = serializers.CharField(
        help_text="`SEQUENCE:HASH` of the last record. Store it outside the platform and pass it as `head` later."
    )
    cursor = serializers.CharField(
        allow_null=True, help_text="While `state` is `in_progress`: pass it in the next request."
    )


class AuditLogPagination(SignedCursorPagination):
    ordering = ("-sequence", "-id")  # type: ignore[assignment]  # ties need the id


class AuditLogViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """All audit records of the tenant, newest first. Read-only."""

    serializer_class = AuditLogSerializer
    pagination_class = AuditLogPagination
    filters: ClassVar[dict[str, str]] = {
        "action": "action",
        "entity_type": "entity_type",
        "entity_id": "entity_id",
    }
    permission_map = dict.fromkeys(("list", "retrieve", "verify"), Permission.AUDIT_VIEW)
    expensive = frozenset({"verify"})

    def get_queryset(self) -> QuerySet[Record]:
        return self.access.visible(Record.objects.all(), Permission.AUDIT_VIEW)

    @extend_schema(
        parameters=[
            OpenApiParameter("cursor", str, description="From the previous response."),
            OpenApiParameter(
                "head",
                OpenApiTypes.STR,
                description="`SEQUENCE:HASH` of an earlier response, stored outside the platform.",
            ),
        ],
        responses=VerificationSerializer,
        filters=False,
    )
    @action(detail=False, methods=["get"], pagination_class=None, filter_backends=[])
    def verify(self, request: Request) -> Response:
        """Verify the hash chain, at most 5,000 records per call; continue with ``cursor``.

        A truncation that also replaced the head is detected only with a ``head`` that was stored outside the platform.
        """
        known = request.query_params.get("head")
        step = verify_step(
            after=self._checkpoint(request.query_params.get("cursor")),
            known_heads=[_parse_head(known)] if known is not None else [],
        )
        return Response(VerificationSerializer(self._body(step)).data)

    def _body(self, step: Step) -> dict[str, Any]:
        in_progress = step.state is State.IN_PROGRESS
        return {
            "state": str(step.state),
            "verified_to": step.position.sequence,
            "first_bad": step.first_bad,
            "fault": str(step.fault) if step.fault else None,
            "head": str(step.head),
            "cursor": self._signer().sign(str(step.position)) if in_progress else None,
        }

    def _checkpoint(self, cursor: str | None) -> Checkpoint:
        if cursor is None:
            return Checkpoint()
        try:
            return _parse_head(self._signer().unsign(cursor))
        except BadSignature as error:
            raise _invalid("cursor", "Use the cursor of the previous response.") from error

    def _signer(self) -> Signer:
        """Per tenant, so that cursors of other tenants are refused."""
        return Signer(salt=f"rest.audit-verify {self.access.tenant.pk}")


def _parse_head(text: str) -> Checkpoint:
    match = HEAD_PATTERN.fullmatch(text)
    if match is None:
        raise _invalid("head", "A number, a colon and 64 hex digits.")
    return Checkpoint(int(match[1]), bytes.fromhex(match[2]))


def _invalid(name: str, text: str) -> ValidationError:
    return ValidationError({name: [ErrorDetail(text, "invalid")]})
