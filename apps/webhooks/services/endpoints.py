"""Services of endpoints: create, change, delete. Their destinations are paused, resumed and tested by the engine."""

import ssl
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.accounts.access_sessions import refuse_in_access_session
from apps.authorization.actors import Actor
from apps.core.http import EgressPolicy, check_url, policy_of_installation
from apps.delivery import services as delivery
from apps.delivery.choices import INCIDENT_EVENTS
from apps.webhooks.choices import CHANNEL_NAME, SecretStage, SeverityFloor
from apps.webhooks.errors import EndpointInvalid
from apps.webhooks.models import Endpoint
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

    Raises DestinationNameTaken, EndpointInvalid, and UrlRefused or AddressRefused for the URL.
    """
    refuse_in_access_session(actor)
    _check({"name": name, "url": url, **fields}, policy)
    with transaction.atomic():
        destination = delivery.create_destination(channel=CHANNEL_NAME, name=name)
        endpoint = Endpoint(
            id=destination.id,
            destination=destination,
            url=url,
            created_at=at,
            updated_at=at,
            **fields,
        )
        endpoint.save(force_insert=True)
        secret = add_secret(endpoint=endpoint, stage=SecretStage.CURRENT, at=at)
        detail = {"name": name, "url": url}
        delivery.audit_destination("created", destination, actor=actor, at=at, detail=detail)
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

    Raises as ``create_endpoint``, and DestinationDeleted.
    """
    refuse_in_access_session(actor)
    _check(fields, policy)
    with transaction.atomic():
        destination = delivery.lock_destination(endpoint.destination)
        changed = Endpoint.objects.get(pk=endpoint.pk)
        changed.destination = destination
        own = {field: value for field, value in fields.items() if field != "name"}
        if "name" in fields:
            delivery.rename_destination(destination=destination, name=fields["name"])
        for field, value in own.items():
            setattr(changed, field, value)
        changed.updated_at = at
        changed.save(update_fields=[*own, "updated_at"])
        detail = {"fields": sorted(fields)}
        delivery.audit_destination("changed", destination, actor=actor, at=at, detail=detail)
    return changed


def delete_endpoint(*, endpoint: Endpoint, actor: Actor, at: datetime) -> None:
    """Stop sending and delete the secrets; the delivery log is kept. Idempotent."""
    with transaction.atomic():
        if delivery.delete_destination(destination=endpoint.destination, actor=actor, at=at):
            endpoint.secrets.all().delete()


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
