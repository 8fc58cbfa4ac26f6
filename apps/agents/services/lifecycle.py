from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Model

from apps.accounts.access_sessions import refuse_in_access_session
from apps.agents.errors import AgentNameTaken, UnknownEntity
from apps.agents.models import Agent, AgentDevice, AgentProbeDevice, AgentSite
from apps.agents.services.enrollment import revoke_agent
from apps.agents.services.ownership import record_ended_assignments
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.inventory.models import Device, Site
from apps.inventory.selectors import existing_device_ids, existing_site_ids
from apps.inventory.services import assignment_change


def create_agent(
    *,
    name: str,
    site: Site | None = None,
    attached_device: Device | None = None,
    source_address: str | None = None,
    actor: Actor,
    at: datetime,
) -> Agent:
    """Create an agent; it is pending until a host enrolls. Raises AgentNameTaken, ValidationError."""
    refuse_in_access_session(actor)
    agent = Agent(
        name=name,
        site=site,
        attached_device=attached_device,
        source_address=source_address,
        created_at=at,
    )
    agent.full_clean(validate_unique=False, validate_constraints=False)
    with transaction.atomic():
        _save(agent, force_insert=True)
        record(
            action="agent.created",
            actor=actor,
            entity=("agent", agent.id),
            at=at,
            detail={"name": name},
        )
    return agent


def update_agent(*, agent: Agent, changes: Mapping[str, Any], actor: Actor, at: datetime) -> Agent:
    """Change an agent's name, site, attached device or source address. Raises AgentNameTaken, ValidationError."""
    changed = [name for name, value in changes.items() if getattr(agent, name) != value]
    for name in changed:
        setattr(agent, name, changes[name])
    agent.full_clean(validate_unique=False, validate_constraints=False)
    if changed:
        with transaction.atomic():
            _save(agent, update_fields=changed)
            record(
                action="agent.changed",
                actor=actor,
                entity=("agent", agent.id),
                at=at,
                detail={"name": agent.name, "fields": sorted(changed)},
            )
    return agent


def delete_agent(*, agent: Agent, actor: Actor, at: datetime) -> None:
    """Revoke and delete an agent; its certificates remain as revoked."""
    with assignment_change(actor=actor, at=at):
        revoke_agent(agent=agent, reason="deleted", actor=actor, at=at)
        entity = ("agent", agent.id)
        agent.delete()
        record(
            action="agent.deleted",
            actor=actor,
            entity=entity,
            at=at,
            detail={"name": agent.name},
        )


def assign_agent(
    *,
    agent: Agent,
    device_ids: Collection[UUID] = (),
    site_ids: Collection[UUID] = (),
    probe_device_ids: Collection[UUID] = (),
    actor: Actor,
    at: datetime,
) -> None:
    """Set an agent's assignment: devices and sites to poll, and devices to probe, even if others poll them. Replaces
    the previous one. Credentials of newly assigned devices are held unless the actor may approve them.

    Idempotent. Raises UnknownEntity for ids that are not this tenant's.
    """
    refuse_in_access_session(actor)
    devices, sites, probed = set(device_ids), set(site_ids), set(probe_device_ids)
    all_devices = devices | probed
    missing = (all_devices - existing_device_ids(all_devices)) | (sites - existing_site_ids(sites))
    if missing:
        raise UnknownEntity(
            message="Some ids are not devices or sites of this tenant.",
            ids=", ".join(sorted(map(str, missing))),
        )
    with transaction.atomic(), assignment_change(actor=actor, at=at):
        Agent.objects.select_for_update().get(pk=agent.pk)
        with record_ended_assignments(at):
            changed = [
                _set_rows(agent, AgentDevice, "device_id", devices),
                _set_rows(agent, AgentSite, "site_id", sites),
                _set_rows(agent, AgentProbeDevice, "device_id", probed),
            ]
        if not any(changed):
            return
        record(
            action="agent.assigned",
            actor=actor,
            entity=("agent", agent.id),
            at=at,
            detail={
                "name": agent.name,
                "devices": sorted(map(str, devices)),
                "sites": sorted(map(str, sites)),
                "probes": sorted(map(str, probed)),
            },
        )


def _set_rows(
    agent: Agent,
    model: type[Model],
    column: str,
    ids: set[UUID],
) -> bool:
    """Replace an agent's rows; returns whether anything changed."""
    rows = model._default_manager.filter(agent=agent)
    existing = set(rows.values_list(column, flat=True))
    if existing == ids:
        return False
    rows.filter(**{f"{column}__in": existing - ids}).delete()
    model._default_manager.bulk_create(
        model(agent=agent, **{column: pk}) for pk in sorted(ids - existing)
    )
    return True


def _save(agent: Agent, **save_options: Any) -> None:
    try:
        with transaction.atomic():
            agent.save(**save_options)
    except IntegrityError as error:
        if "agents_agent_name_uniq" not in str(error):
            raise
        raise AgentNameTaken(message=f"Another agent already has the name {agent.name}.") from error
