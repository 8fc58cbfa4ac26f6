from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Model

from apps.accounts.access_sessions import refuse_in_access_session
from apps.agents.errors import AgentNameTaken, UnknownEntity
from apps.agents.models import Agent, AgentDevice, AgentProbing, AgentSite
from apps.agents.services.enrollment import revoke_agent
from apps.agents.services.ownership import ends_noted
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
    """Name a collector; it comes to life when a host enrolls as it. Raises AgentNameTaken, ValidationError."""
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
    """Rename an agent, or say where it sits. Raises AgentNameTaken, ValidationError."""
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
    """Revoke an agent and forget it; its certificates stay on record as revoked."""
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
    """Set what an agent watches: these devices, and whatever stands at these sites; and whose reachability it judges
    although others may watch them. Replaces what was set before. Logins of devices that it did not read before are
    held from it unless the actor may approve that.

    Idempotent. Raises UnknownEntity for ids that are not this tenant's.
    """
    refuse_in_access_session(actor)
    devices, sites, probed = set(device_ids), set(site_ids), set(probe_device_ids)
    named = devices | probed
    missing = (named - existing_device_ids(named)) | (sites - existing_site_ids(sites))
    if missing:
        raise UnknownEntity(
            message="Some ids name no device or site of this tenant.",
            ids=", ".join(sorted(map(str, missing))),
        )
    with transaction.atomic(), assignment_change(actor=actor, at=at):
        Agent.objects.select_for_update().get(pk=agent.pk)
        with ends_noted(at):
            changed = [
                _set_rows(agent, AgentDevice, "device_id", devices),
                _set_rows(agent, AgentSite, "site_id", sites),
                _set_rows(agent, AgentProbing, "device_id", probed),
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
    wanted: set[UUID],
) -> bool:
    """Make an agent's rows be exactly these; returns whether anything changed."""
    rows = model._default_manager.filter(agent=agent)  # noqa: SLF001  (one of three models)
    had = set(rows.values_list(column, flat=True))
    if had == wanted:
        return False
    rows.filter(**{f"{column}__in": had - wanted}).delete()
    model._default_manager.bulk_create(  # noqa: SLF001
        model(agent=agent, **{column: pk}) for pk in sorted(wanted - had)
    )
    return True


def _save(agent: Agent, **how: Any) -> None:
    try:
        with transaction.atomic():
            agent.save(**how)
    except IntegrityError as error:
        if "agents_agent_name_uniq" not in str(error):
            raise
        raise AgentNameTaken(message=f"Another agent is already called {agent.name}.") from error
