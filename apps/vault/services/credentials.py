"""Credential sets: written by users, opened under a lease, never shown."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from apps.accounts.access_sessions import refuse_in_access_session
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.vault.errors import CredentialNameTaken, CredentialSetInUse
from apps.vault.kinds import DEFAULT_KIND, KIND_SPECS, credential_errors
from apps.vault.models import CredentialSet
from apps.vault.registry import sealed_field
from apps.vault.services.leases import Lease
from apps.vault.services.sealing import open_sealed, open_secret, seal_secret
from apps.vault.usages import usages_of

_TABLE, _FIELD = "vault_credentialset", "secret"
#: No password starts with it: a JSON document of several secrets follows.
_MULTI_SECRET_PREFIX = b"\x00"
_MAX_LISTED_USAGES = 20


def create_credential_set(
    *,
    name: str,
    kind: str = DEFAULT_KIND,
    username: str = "",
    options: Mapping[str, str] | None = None,
    secrets: Mapping[str, str],
    actor: Actor,
    at: datetime,
) -> CredentialSet:
    """Create a credential set. Raises ValidationError, CredentialNameTaken."""
    refuse_in_access_session(actor)
    row = CredentialSet(name=name, kind=kind, username=username, options=dict(options or {}))
    row.updated_at = at
    with transaction.atomic():
        _seal(row, secrets)
        _save(row, force_insert=True)
        _record("stored", row, actor, at)
    return row


def change_credential_set(
    *, credential_set: CredentialSet, changes: Mapping[str, Any], actor: Actor, at: datetime
) -> CredentialSet:
    """Change its name, username, options or secrets. ``secrets`` has those that change; null removes one.

    Locks: the row. Raises ValidationError, CredentialNameTaken.
    """
    refuse_in_access_session(actor)
    with transaction.atomic():
        row = CredentialSet.objects.select_for_update().get(pk=credential_set.pk)
        before = (row.username, row.options)
        for field in ("name", "username", "options"):
            if field in changes:
                setattr(row, field, changes[field])
        new_secrets = dict(changes.get("secrets") or {})
        if new_secrets or (row.username, row.options) != before:
            secrets = {**_open_secrets(row), **new_secrets}
            _seal(row, {name: text for name, text in secrets.items() if text is not None})
            row.version += 1
        row.updated_at = at
        _save(row)
        _record(
            "changed", row, actor, at, {"fields": sorted({*changes} - {"secrets"} | {*new_secrets})}
        )
    return row


def store_credential_set(
    *,
    name: str,
    username: str,
    secret: str,
    actor: Actor,
    at: datetime,
    kind: str = DEFAULT_KIND,
) -> CredentialSet:
    """Create a credential set of one secret, or change the one of that name.

    Raises ValidationError when the existing one is of another kind.
    """
    existing = CredentialSet.objects.filter(name=name).first()
    secrets = {KIND_SPECS[kind].main_secret: secret}
    if existing is None:
        return create_credential_set(
            name=name, kind=kind, username=username, secrets=secrets, actor=actor, at=at
        )
    if existing.kind != kind:
        raise ValidationError({"kind": "The credential set of this name has another kind."})
    return change_credential_set(
        credential_set=existing,
        changes={"username": username, "secrets": secrets},
        actor=actor,
        at=at,
    )


def delete_credential_set(*, credential_set: CredentialSet, actor: Actor, at: datetime) -> None:
    """Delete an unused credential set. Raises CredentialSetInUse, which names its usages."""
    usages = usages_of(credential_set.id)
    if usages:
        listed = ", ".join(usage.name for usage in usages[:_MAX_LISTED_USAGES])
        more = (
            f" and {len(usages) - _MAX_LISTED_USAGES} more"
            if len(usages) > _MAX_LISTED_USAGES
            else ""
        )
        raise CredentialSetInUse(
            message=f"{credential_set.name} is used by {len(usages)} devices: {listed}{more}.",
            **{
                f"{usage.entity_type}.{usage.entity_id}": usage.name
                for usage in usages[:_MAX_LISTED_USAGES]
            },
        )
    with transaction.atomic():
        pk = credential_set.pk
        credential_set.delete()
        credential_set.pk = credential_set.id = pk
        _record("deleted", credential_set, actor, at)


def open_credential_set(*, credential_set: CredentialSet, lease: Lease) -> dict[str, str]:
    """The secrets of a set by name. Raises SecretUnreadable."""
    plain = open_secret(row=credential_set, field=_FIELD, lease=lease)
    return _parse_secrets(credential_set.kind, plain)


def secret_names_of(row: CredentialSet) -> list[str]:
    """The names of the stored secrets."""
    return list(row.secret_names) or [KIND_SPECS[row.kind].main_secret]


def _open_secrets(row: CredentialSet) -> dict[str, str]:
    """The unchanged secrets, to be sealed with the changed ones. Must not leave this module."""
    spec = sealed_field(_TABLE, _FIELD)
    return _parse_secrets(row.kind, open_sealed(spec, row.pk, bytes(row.sealed_secret), {}))


def _parse_secrets(kind: str, plain: bytes) -> dict[str, str]:
    if plain[:1] != _MULTI_SECRET_PREFIX:
        return {KIND_SPECS[kind].main_secret: plain.decode()}
    secrets: dict[str, str] = json.loads(plain[1:])
    return secrets


def _seal(row: CredentialSet, secrets: Mapping[str, str]) -> None:
    errors = credential_errors(
        row.kind, username=row.username, options=row.options, secrets=secrets
    )
    if errors:
        raise ValidationError(errors)
    row.secret_names = sorted(secrets)
    plain = _MULTI_SECRET_PREFIX + json.dumps(dict(secrets), sort_keys=True).encode()
    row.sealed_secret = seal_secret(table=_TABLE, row_id=row.id, field=_FIELD, plaintext=plain)


def _save(row: CredentialSet, *, force_insert: bool = False) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=force_insert)
    except IntegrityError as error:
        if "vault_credentialset_name_uniq" not in str(error):
            raise
        raise CredentialNameTaken(
            message=f"Another credential set already has the name {row.name}."
        ) from error


def _record(
    verb: str,
    row: CredentialSet,
    actor: Actor,
    at: datetime,
    detail: Mapping[str, Any] | None = None,
) -> None:
    record(
        action=f"credential_set.{verb}",
        actor=actor,
        entity=("credential_set", row.id),
        at=at,
        detail={"name": row.name, "version": row.version, **(detail or {})},
    )
