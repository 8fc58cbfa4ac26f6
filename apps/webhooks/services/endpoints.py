"""Endpoints: made, changed, tested, paused, resumed, deleted."""

import ssl
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import IntegrityError, transaction

from apps.accounts.visits import refuse_in_visit
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
from apps.webhooks.services.fanning_out import add_delivery, view_of
from apps.webhooks.services.rearming import DELIVER, ring
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
    """Make an endpoint; its signing secret is returned once.

    Raises EndpointNameTaken, EndpointInvalid, and UrlRefused or AddressRefused for the URL.
    """
    refuse_in_visit(actor)
    chosen = {"name": name, "url": url, **fields}
    _check(chosen, policy)
    endpoint = Endpoint(created_at=at, updated_at=at, **chosen)
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
    """Change what is given. Events already rendered keep their bytes.

    Raises as ``create_endpoint``, and EndpointDeleted.
    """
    refuse_in_visit(actor)
    _check(fields, policy)
    with transaction.atomic():
        found = _lock(endpoint)
        for field, value in fields.items():
            setattr(found, field, value)
        found.updated_at = at
        _save(found, created=False, fields=fields)
        _audit("changed", found, actor, at, {"fields": sorted(fields)})
    return found


def delete_endpoint(*, endpoint: Endpoint, actor: Actor, at: datetime) -> None:
    """Send nothing more and forget the secrets; the ledger stays. Idempotent."""
    with transaction.atomic():
        found = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if found.deleted_at is not None:
            return
        found.deleted_at = at
        found.save(update_fields=["deleted_at"])
        found.secrets.all().delete()
        bury_waiting(endpoint=found, reason=DeadReason.ENDPOINT_DELETED, at=at)
        due.finish(DELIVER, tenant_id=require_tenant_id(), ref=str(found.id))
        _audit("deleted", found, actor, at, {"name": found.name})


def pause_endpoint(*, endpoint: Endpoint, actor: Actor, at: datetime) -> None:
    """Hold everything back until it is resumed. Idempotent: the first pause stands."""
    with transaction.atomic():
        found = _lock(endpoint)
        if found.is_paused:
            return
        found.pause_reason, found.paused_at = PauseReason.OPERATOR, at
        found.save(update_fields=["pause_reason", "paused_at"])
        _audit("paused", found, actor, at, {"reason": PauseReason.OPERATOR.value})


def resume_endpoint(*, endpoint: Endpoint, actor: Actor, at: datetime) -> None:
    """Send again, what was held back first. What was given up in between is resent on request.

    Idempotent. Raises EndpointDeleted.
    """
    refuse_in_visit(actor)
    with transaction.atomic():
        found = _lock(endpoint)
        if not found.is_paused:
            return
        Endpoint.objects.filter(pk=found.pk).update(
            pause_reason="", paused_at=None, failing_since=None, slow_failures=0, rest_until=None
        )
        ring(endpoint_id=found.id, at=at)
        _audit("resumed", found, actor, at, {"reason": found.pause_reason})


def test_endpoint(*, endpoint: Endpoint, actor: Actor, at: datetime) -> Delivery:
    """Send ``webhook.ping`` by the same road as everything else; look at the delivery for the outcome.

    Raises EndpointPaused, EndpointDeleted.
    """
    with transaction.atomic():
        found = _lock(endpoint)
        if found.is_paused:
            raise EndpointPaused
        tenant = Tenant.objects.get(pk=require_tenant_id())
        event_id = uuid4()
        envelope = Envelope(str(event_id), EventType.PING, at, str(tenant.id), tenant.name)
        delivery = add_delivery(
            endpoint=found,
            event_id=event_id,
            event_type=EventType.PING,
            body=render_ping(
                envelope,
                endpoint_id=str(found.id),
                endpoint_name=found.name,
                view=view_of(found),
            ),
            at=at,
        )
        ring(endpoint_id=found.id, at=at)
        _audit("tested", found, actor, at, {"event_id": str(event_id)})
    return delivery


def bury_waiting(*, endpoint: Endpoint, reason: DeadReason, at: datetime) -> int:
    """Give up what waits for this endpoint; returns how many."""
    return Delivery.objects.filter(endpoint=endpoint, state=DeliveryState.PENDING).update(
        state=DeliveryState.DEAD, dead_at=at, dead_reason=reason, next_attempt_at=None
    )


def _lock(endpoint: Endpoint) -> Endpoint:
    found = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    if found.deleted_at is not None:
        raise EndpointDeleted
    return found


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
                message=f"An endpoint is already called {endpoint.name}."
            ) from error
        raise


def _check(fields: Mapping[str, Any], policy: EgressPolicy | None) -> None:
    unknown = set(fields) - set(CHANGEABLE)
    if unknown:
        raise TypeError(f"Not fields of an endpoint: {sorted(unknown)}")
    if "name" in fields and not str(fields["name"]).strip():
        raise EndpointInvalid("name_empty", "Give the endpoint a name.")
    if "url" in fields:
        check_url(fields["url"], policy or policy_of_installation())
    if "severity_floor" in fields and fields["severity_floor"] not in SeverityFloor.values:
        raise EndpointInvalid("severity_unknown", "The floor is info, warn or critical.")
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
    act: str, endpoint: Endpoint, actor: Actor, at: datetime, detail: Mapping[str, Any]
) -> None:
    record(
        action=f"webhook_endpoint.{act}",
        actor=actor,
        entity=("webhook_endpoint", endpoint.id),
        at=at,
        detail=detail,
    )
