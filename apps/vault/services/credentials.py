"""Credential sets: logins that devices share. Written by people, opened under a lease, never shown."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from apps.accounts.access_sessions import refuse_in_access_session
from apps.audit.services import record
from apps.authorization.actors import Actor
from apps.vault.choices import CredentialKind
from apps.vault.errors import CredentialNameTaken, CredentialSetInUse
from apps.vault.kinds import SHAPES, faults_of
from apps.vault.models import CredentialSet
from apps.vault.registry import sealed_field
from apps.vault.services.leases import Lease
from apps.vault.services.sealing import open_sealed, open_secret, seal_secret
from apps.vault.uses import uses_of

_TABLE, _FIELD = "vault_credentialset", "secret"
#: No password begins so: what follows is a document of several secrets.
_DOCUMENT = b"\x00"
_NAMED_USES = 20


def create_credential_set(
    *,
    name: str,
    kind: str = CredentialKind.ROUTEROS_API,
    username: str = "",
    options: Mapping[str, str] | None = None,
    secrets: Mapping[str, str],
    actor: Actor,
    at: datetime,
) -> CredentialSet:
    """Make a credential set. Raises ValidationError, CredentialNameTaken."""
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
    """Rename it, or give it another login. ``secrets`` names those that change; null takes one away.

    Locks: the row. Raises ValidationError, CredentialNameTaken.
    """
    refuse_in_access_session(actor)
    with transaction.atomic():
        row = CredentialSet.objects.select_for_update().get(pk=credential_set.pk)
        before = (row.username, row.options)
        for field in ("name", "username", "options"):
            if field in changes:
                setattr(row, field, changes[field])
        given = dict(changes.get("secrets") or {})
        if given or (row.username, row.options) != before:
            held = {**_opened(row), **given}
            _seal(row, {name: text for name, text in held.items() if text is not None})
            row.version += 1
        row.updated_at = at
        _save(row)
        _record("changed", row, actor, at, {"fields": sorted({*changes} - {"secrets"} | {*given})})
    return row


def store_credential_set(
    *,
    name: str,
    username: str,
    secret: str,
    actor: Actor,
    at: datetime,
    kind: str = CredentialKind.ROUTEROS_API,
) -> CredentialSet:
    """Make a credential set of one secret, or give the one of that name a new login.

    Raises ValidationError when the one of that name is of another kind.
    """
    found = CredentialSet.objects.filter(name=name).first()
    secrets = {SHAPES[kind].main_secret: secret}
    if found is None:
        return create_credential_set(
            name=name, kind=kind, username=username, secrets=secrets, actor=actor, at=at
        )
    if found.kind != kind:
        raise ValidationError({"kind": "The credential set of this name is of another kind."})
    return change_credential_set(
        credential_set=found,
        changes={"username": username, "secrets": secrets},
        actor=actor,
        at=at,
    )


def delete_credential_set(*, credential_set: CredentialSet, actor: Actor, at: datetime) -> None:
    """Forget a login that nothing needs. Raises CredentialSetInUse, which names what does."""
    uses = uses_of(credential_set.id)
    if uses:
        named = ", ".join(use.name for use in uses[:_NAMED_USES])
        more = f" and {len(uses) - _NAMED_USES} more" if len(uses) > _NAMED_USES else ""
        raise CredentialSetInUse(
            message=f"{credential_set.name} is used by {len(uses)} devices: {named}{more}.",
            **{f"{use.entity_type}.{use.entity_id}": use.name for use in uses[:_NAMED_USES]},
        )
    with transaction.atomic():
        pk = credential_set.pk
        credential_set.delete()
        credential_set.pk = credential_set.id = pk
        _record("deleted", credential_set, actor, at)


def open_credential_set(*, credential_set: CredentialSet, lease: Lease) -> str:
    """The main secret of a set: a router's password. Raises SecretUnreadable."""
    plain = open_secret(row=credential_set, field=_FIELD, lease=lease)
    return _document(credential_set.kind, plain).get(SHAPES[credential_set.kind].main_secret, "")


def held_secrets(row: CredentialSet) -> list[str]:
    """The names of the secrets that it holds."""
    return list(row.held) or [SHAPES[row.kind].main_secret]


def _opened(row: CredentialSet) -> dict[str, str]:
    """To seal what stays beside what changes; it does not leave this module."""
    known = sealed_field(_TABLE, _FIELD)
    return _document(row.kind, open_sealed(known, row.pk, bytes(row.sealed_secret), {}))


def _document(kind: str, plain: bytes) -> dict[str, str]:
    if plain[:1] != _DOCUMENT:
        return {SHAPES[kind].main_secret: plain.decode()}
    found: dict[str, str] = json.loads(plain[1:])
    return found


def _seal(row: CredentialSet, secrets: Mapping[str, str]) -> None:
    faults = faults_of(row.kind, username=row.username, options=row.options, secrets=secrets)
    if faults:
        raise ValidationError(faults)
    row.held = sorted(secrets)
    plain = _DOCUMENT + json.dumps(dict(secrets), sort_keys=True).encode()
    row.sealed_secret = seal_secret(table=_TABLE, row_id=row.id, field=_FIELD, plaintext=plain)


def _save(row: CredentialSet, *, force_insert: bool = False) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=force_insert)
    except IntegrityError as error:
        if "vault_credentialset_name_uniq" not in str(error):
            raise
        raise CredentialNameTaken(
            message=f"Another credential set is already called {row.name}."
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
