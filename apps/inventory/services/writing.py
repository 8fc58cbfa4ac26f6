"""How every inventory row is written: checked, saved, audited, conflicts named."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models.deletion import ProtectedError, RestrictedError
from psycopg2.errors import UniqueViolation

from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.inventory.errors import InUse, NameTaken
from apps.inventory.models import WireAlias
from apps.inventory.models.discovered import DiscoverableModel
from apps.tenancy.models import TenantModel


def entity_type_of(row: models.Model) -> str:
    """The entity type as metrics, alerts and the audit log name it."""
    name = type(row).__name__
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def save_new(row: TenantModel, *, actor: Actor, at: datetime) -> None:
    """Check and insert a row that a person made. Raises ValidationError, NameTaken."""
    row.full_clean(validate_unique=False, validate_constraints=False)
    with transaction.atomic():
        _save(row)
        _record(row, "created", actor, at, {"name": str(row)})


def save_changes(
    row: TenantModel, changes: Mapping[str, Any], *, actor: Actor, at: datetime
) -> list[str]:
    """Check and update; returns the names of the fields that really changed.

    What a person sets on a discovered row is the person's from then on. Raises ValidationError, NameTaken.
    """
    before = {name: getattr(row, name) for name in changes}
    for name, value in changes.items():
        setattr(row, name, value)
    row.full_clean(validate_unique=False, validate_constraints=False)
    changed = [name for name, old in before.items() if getattr(row, name) != old]
    touched = list(changed)
    if isinstance(row, DiscoverableModel) and not set(changes) <= set(row.operator_fields):
        row.operator_fields = sorted({*row.operator_fields, *changes})
        touched.append("operator_fields")
    if not touched:
        return []
    with transaction.atomic():
        _save(row, update_fields=touched)
        if changed:
            detail = {
                name: [_plain(before[name]), _plain(getattr(row, name))] for name in sorted(changed)
            }
            _record(row, "changed", actor, at, {"name": str(row), "fields": detail})
    return changed


def delete_row(row: TenantModel, *, actor: Actor, at: datetime) -> None:
    """Delete a row and what belongs to it. Raises InUse where something else depends on it."""
    entity = (entity_type_of(row), row.id)
    name = str(row)
    try:
        with transaction.atomic():
            WireAlias.objects.filter(entity_type=entity[0], entity_id=row.id).delete()
            row.delete()
            record(
                action=f"{entity[0]}.deleted",
                actor=actor,
                entity=entity,
                at=at,
                detail={"name": name},
            )
    except (ProtectedError, RestrictedError) as error:
        raise InUse(message=f"{name} is still in use and cannot be deleted.") from error


def _save(row: TenantModel, update_fields: list[str] | None = None) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=update_fields is None, update_fields=update_fields)
    except IntegrityError as error:
        if isinstance(error.__cause__, UniqueViolation):
            raise NameTaken(
                message=f"Another {entity_type_of(row).replace('_', ' ')} is already called {row}."
            ) from error
        raise


def _record(
    row: TenantModel, verb: str, actor: Actor, at: datetime, detail: Mapping[str, Any]
) -> None:
    noun = entity_type_of(row)
    record(action=f"{noun}.{verb}", actor=actor, entity=(noun, row.id), at=at, detail=detail)


def _plain(value: Any) -> Any:
    if isinstance(value, models.Model):
        return str(value.pk)
    return (
        value
        if value is None or isinstance(value, bool | int | float | list | dict)
        else str(value)
    )
