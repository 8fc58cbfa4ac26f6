"""Services of endpoints: create, change, test, pause, resume, delete."""

import ssl
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import IntegrityError, transaction

from apps.accounts.access_sessions import refuse_in_access_session
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.core.http import EgressPolicy, check_url, policy_of_installation
from apps.events import due
from apps.tenancy.context import require_tenant_id
from apps.tenancy.models import Tenant
from apps.webhooks.choices import (
    INCIDENT_EVENTS,
    DeadReason,
    DeliveryState,
    EventType,
    PauseReason,
    SecretStage,
    SeverityFloor,
)
from apps.webhooks.errors import (
    EndpointDeleted,
    EndpointInvalid,
    EndpointNameTaken,
    EndpointPaused,
)
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.rendering import Envelope, render_ping
from apps.webhooks.services.fanning_out import add_delivery, payload_options
from apps.webhooks.services.scheduling import DELIVER, schedule_endpoint
from apps.webhooks.services.secrets import add_secret

CHANGEABLE = (
    "name",
    "url",
    "event_types",
    "severity_floor",
    "hides_tenant_name",
    "hides_people",
    "hides_evidence",
    "is_thin",
    "ca_pem",
)


def create_endpoint(
    *,
    name: str,
    url: str,
    actor: Actor,
    at: datetime,
    policy: EgressPolicy | None = None,
    **fields: Any,
) -> tuple[Endpoint, str]:
    """Create an endpoint; its signing secret is returned once.

    Raises EndpointNameTaken, EndpointInvalid, and UrlRefused or AddressRefused for the URL.
    """
    refuse_in_access_session(actor)
    fields = {"name": name, "url": url, **fields}
    _check(fields, policy)
    endpoint = Endpoint(created_at=at, updated_at=at, **fields)
    with transaction.atomic():
        _save(endpoint, created=True)
        secret = add_secret(endpoint=endpoint, stage=SecretStage.CURRENT, at=at)
        _audit("created", endpoint, actor, at, {"name": endpoint.name, "url": endpoint.url})
    return endpoint, secret


def change_endpoint(
    *,
    endpoint: Endpoint,
    actor: Actor,
    at: datetime,
    policy: EgressPolicy | None = None,
    **fields: Any,
) -> Endpoint:
    """Change the given fields. Deliveries that are already rendered keep their bytes.

    Raises as ``create_endpoint``, and EndpointDeleted.
    """
    refuse_in_access_session(actor)
    _check(fields, policy)
    with transaction.atomic():
        locked = _lock(endpoint)
        for field, value in fields.items():
            setattr(locked, field, value)
        locked.updated_at = at
        _save(locked, created=False, fields=fields)
        _audit("changed", locked, actor, at, {"fields": sorted(fields)})
    return locked


def delete_endpoint(*, endpoint: Endpoint, actor: Actor, at: datetime) -> None:
    """Stop sending and delete the secrets; the delivery log is kept. Idempotent."""
    with transaction.atomic():
        locked = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if locked.deleted_at is not None:
            return
        locked.deleted_at = at
        locked.save(update_fields=["deleted_at"])
        locked.secrets.all().delete()
        dead_letter_pending(endpoint=locked, reason=DeadReason.ENDPOINT_DELETED, at=at)
        due.finish(DELIVER, tenant_id=require_tenant_id(), ref=str(locked.id))
        _audit("deleted", locked, actor, at, {"name": locked.name})


def pause_endpoint(*, endpoint: Endpoint, actor: Actor, at: datetime) -> None:
    """Queue events without sending until ``resume_endpoint``. Idempotent: the first pause counts."""
    with transaction.atomic():
        locked = _lock(endpoint)
        if locked.is_paused:
            return
        locked.pause_reason, locked.paused_at = PauseReason.OPERATOR, at
        locked.save(update_fields=["pause_reason", "paused_at"])
        _audit("paused", locked, actor, at, {"reason": PauseReason.OPERATOR.value})


def resume_endpoint(*, endpoint: Endpoint, actor: Actor, at: datetime) -> None:
    """Send again, queued events first. Dead letters are not resent.

    Idempotent. Raises EndpointDeleted.
    """
    refuse_in_access_session(actor)
    with transaction.atomic():
        locked = _lock(endpoint)
        if not locked.is_paused:
            return
        Endpoint.objects.filter(pk=locked.pk).update(
            pause_reason="", paused_at=None, failing_since=None, slow_failures=0, backoff_until=None
        )
        schedule_endpoint(endpoint_id=locked.id, at=at)
        _audit("resumed", locked, actor, at, {"reason": locked.pause_reason})


def test_endpoint(*, endpoint: Endpoint, actor: Actor, at: datetime) -> Delivery:
    """Send ``webhook.ping`` through the delivery queue; the state of the returned delivery shows the result.

    Raises EndpointPaused, EndpointDeleted.
    """
    with transaction.atomic():
        locked = _lock(endpoint)
        if locked.is_paused:
            raise EndpointPaused
        tenant = Tenant.objects.get(pk=require_tenant_id())
        event_id = uuid4()
        envelope = Envelope(str(event_id), EventType.PING, at, str(tenant.id), tenant.name)
        delivery = add_delivery(
            endpoint=locked,
            event_id=event_id,
            event_type=EventType.PING,
            body=render_ping(
                envelope,
                endpoint_id=str(locked.id),
                endpoint_name=locked.name,
                options=payload_options(locked),
            ),
            at=at,
        )
        schedule_endpoint(endpoint_id=locked.id, at=at)
        _audit("tested", locked, actor, at, {"event_id": str(event_id)})
    return delivery


def dead_letter_pending(*, endpoint: Endpoint, reason: DeadReason, at: datetime) -> int:
    """Turn the pending deliveries of this endpoint into dead letters; returns their number."""
    return Delivery.objects.filter(endpoint=endpoint, state=DeliveryState.PENDING).update(
        state=DeliveryState.DEAD, dead_at=at, dead_reason=reason, next_attempt_at=None
    )


def _lock(endpoint: Endpoint) -> Endpoint:
    locked = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    if locked.deleted_at is not None:
        raise EndpointDeleted
    return locked


def _save(endpoint: Endpoint, *, created: bool, fields: Mapping[str, Any] | None = None) -> None:
    try:
        with transaction.atomic():
            if created:
                endpoint.save(force_insert=True)
            else:
                endpoint.save(update_fields=[*(fields or {}), "updated_at"])
    except IntegrityError as error:
        if "webhooks_endpoint_name_uniq" in str(error):
            raise EndpointNameTaken(
                message=f"An endpoint named {endpoint.name} exists already."
            ) from error
        raise


def _check(fields: Mapping[str, Any], policy: EgressPolicy | None) -> None:
    unknown = set(fields) - set(CHANGEABLE)
    if unknown:
        raise TypeError(f"Unknown fields of an endpoint: {sorted(unknown)}")
    if "name" in fields and not str(fields["name"]).strip():
        raise EndpointInvalid("name_empty", "The endpoint needs a name.")
    if "url" in fields:
        check_url(fields["url"], policy or policy_of_installation())
    if "severity_floor" in fields and fields["severity_floor"] not in SeverityFloor.values:
        raise EndpointInvalid("severity_unknown", "The lowest severity is info, warn or critical.")
    _check_events(fields.get("event_types", ()))
    _check_ca(fields.get("ca_pem", ""))


def _check_events(event_types: Iterable[str]) -> None:
    known = {event.value for event in INCIDENT_EVENTS}
    if not set(event_types) <= known:
        raise EndpointInvalid("event_type_unknown", f"Known events: {', '.join(sorted(known))}.")


def _check_ca(ca_pem: str) -> None:
    if not ca_pem:
        return
    try:
        ssl.create_default_context(cadata=ca_pem)
    except (ssl.SSLError, ValueError, TypeError) as error:
        raise EndpointInvalid("ca_unreadable", "The CA bundle is not PEM.") from error


def _audit(
    verb: str, endpoint: Endpoint, actor: Actor, at: datetime, detail: Mapping[str, Any]
) -> None:
    record(
        action=f"webhook_endpoint.{verb}",
        actor=actor,
        entity=("webhook_endpoint", endpoint.id),
        at=at,
        detail=detail,
    )
