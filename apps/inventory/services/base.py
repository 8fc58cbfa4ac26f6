"""Writing inventory rows: validate, save, audit, translate conflicts."""

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
from apps.inventory.models import EntityAlias
from apps.inventory.models.discovered import DiscoverableModel
from apps.tenancy.models import TenantModel


def entity_type_of(row: models.Model) -> str:
    """The entity type as used in metrics, alerts and the audit log."""
    name = type(row).__name__
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def save_new(row: TenantModel, *, actor: Actor, at: datetime) -> None:
    """Validate and insert a row. Raises ValidationError, NameTaken."""
    row.full_clean(validate_unique=False, validate_constraints=False)
    with transaction.atomic():
        _save(row)
        _record(row, "created", actor, at, {"name": str(row)})


def save_changes(
    row: TenantModel, changes: Mapping[str, Any], *, actor: Actor, at: datetime
) -> list[str]:
    """Validate and update; returns the names of the changed fields.

    Fields set on a discoverable row become operator fields. Raises ValidationError, NameTaken.
    """
    before = {name: getattr(row, name) for name in changes}
    for name, value in changes.items():
        setattr(row, name, value)
    row.full_clean(validate_unique=False, validate_constraints=False)
    changed = [name for name, old in before.items() if getattr(row, name) != old]
    update_fields = list(changed)
    if isinstance(row, DiscoverableModel) and not set(changes) <= set(row.operator_fields):
        row.operator_fields = sorted({*row.operator_fields, *changes})
        update_fields.append("operator_fields")
    if not update_fields:
        return []
    with transaction.atomic():
        _save(row, update_fields=update_fields)
        if changed:
            detail = {
                name: [_json_value(before[name]), _json_value(getattr(row, name))]
                for name in sorted(changed)
            }
            _record(row, "changed", actor, at, {"name": str(row), "fields": detail})
    return changed


def delete_row(row: TenantModel, *, actor: Actor, at: datetime) -> None:
    """Delete a row and what belongs to it. Raises InUse if other rows depend on it."""
    entity = (entity_type_of(row), row.id)
    name = str(row)
    try:
        with transaction.atomic():
            EntityAlias.objects.filter(entity_type=entity[0], entity_id=row.id).delete()
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
                message=f"Another {entity_type_of(row).replace('_', ' ')} already has the name {row}."
            ) from error
        raise


def _record(
    row: TenantModel, verb: str, actor: Actor, at: datetime, detail: Mapping[str, Any]
) -> None:
    noun = entity_type_of(row)
    record(action=f"{noun}.{verb}", actor=actor, entity=(noun, row.id), at=at, detail=detail)


def _json_value(value: Any) -> Any:
    if isinstance(value, models.Model):
        return str(value.pk)
    return (
        value
        if value is None or isinstance(value, bool | int | float | list | dict)
        else str(value)
    )
