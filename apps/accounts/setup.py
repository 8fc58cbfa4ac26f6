"""The first installation: nobody can sign in yet, so whoever reads the server's log may make the first account.

``manage bootstrap`` does the same on the machine, see ``apps.accounts.bootstrap``.
"""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event

import structlog
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, connections, transaction
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.text import slugify
from django.utils.translation import gettext as _

from apps.accounts import services
from apps.accounts.errors import SetupCodeRefused
from apps.accounts.models import PlatformOperator, Setup, User
from apps.accounts.models.setup import ONLY
from apps.accounts.operators import OWNER, add_operator
from apps.authorization.actors import Actor
from apps.authorization.choices import Role
from apps.core import clock
from apps.core.errors import NotVisible
from apps.tenancy.models import Tenant

log = structlog.get_logger(__name__)

CODE_LIFETIME = timedelta(hours=12)
#: How soon who completed the setup is a platform operator.
GRANT_SECONDS = 5
ACTOR = Actor.system("setup")
_SALT = "accounts.setup"
#: 100 bits in groups that a person can type.
_LETTERS, _GROUP = 20, 5


@dataclass(frozen=True)
class FirstTenant:
    """What the setup page asks for."""

    tenant_name: str
    name: str
    email: str
    password: str


def is_open() -> bool:
    """Whether the installation has neither tenant nor platform operator and its setup was not completed."""
    return not (
        Tenant.objects.exists()
        or PlatformOperator.objects.exists()
        or Setup.objects.filter(completed_at__isnull=False).exists()
    )


def log_code(*, at: datetime) -> None:
    """Write the setup code to the log while the installation has nobody. The same code from every web process.

    A code that has expired is replaced.
    """
    if not is_open():
        return
    with transaction.atomic():
        row = _locked_row(at)
        if not _is_usable(row, at):
            row.nonce, row.failures = secrets.token_hex(32), 0
            row.expires_at = at + CODE_LIFETIME
            row.save(update_fields=["nonce", "failures", "expires_at"])
        code = code_of(row)
    log.warning(
        "setup_code_created",
        setup_code=code,
        url=f"{settings.ISPVM_PUBLIC_URL}/setup/",
        expires_at=row.expires_at.isoformat(timespec="seconds"),
    )


def log_code_at_start() -> None:
    """``log_code`` for a server that starts: without the database it serves all the same, and logs no code."""
    try:
        log_code(at=clock.now())
    except DatabaseError:
        log.warning("setup_code_unavailable")
    finally:
        connection.close()


def code_of(row: Setup) -> str:
    """The code that belongs to this nonce and to this server's secret key."""
    digest = salted_hmac(_SALT, row.nonce, algorithm="sha256").digest()
    letters = base64.b32encode(digest).decode()[:_LETTERS]
    return "-".join(letters[n : n + _GROUP] for n in range(0, _LETTERS, _GROUP))


def complete_setup(*, code: str, first: FirstTenant, at: datetime) -> User:
    """Make the first tenant and its admin, who becomes a platform operator as soon as the keeper has seen it.

    Raises NotVisible once the installation is set up, SetupCodeRefused, ValidationError (the code stays usable).
    Locks: the setup row; of requests that race exactly one wins.
    """
    with transaction.atomic():
        row = _locked_row(at)
        if not is_open():
            raise NotVisible
        if _is_usable(row, at) and constant_time_compare(_plain(code), _plain(code_of(row))):
            return _complete(row, first, at)
        # Counted although the request is refused: the transaction commits before the error is raised.
        # Only for the log: each address has its limit (``attempts``), and one over all addresses would let a
        # stranger close the page.
        row.failures += 1
        row.save(update_fields=["failures"])
    log.warning("setup_code_refused", failures=row.failures)
    raise SetupCodeRefused(
        message=_(
            "This code is wrong or no longer valid. The newest one is in the log of the web process, "
            "which writes a new one when it starts after the old one expired."
        )
    )


def _complete(row: Setup, first: FirstTenant, at: datetime) -> User:
    validate_password(first.password, User(email=first.email, first_name=first.name))
    if User.objects.filter(email__iexact=first.email).exists():
        raise ValidationError(
            _("This address has an account already: run manage bootstrap instead.")
        )
    tenant = services.create_tenant(
        slug=slug_of(first.tenant_name), name=first.tenant_name, actor=ACTOR, at=at
    )
    user = services.create_user(
        email=first.email, password=first.password, full_name=first.name, verified_at=at
    )
    services.add_member(tenant=tenant, user=user, role=Role.ADMIN, actor=ACTOR, at=at)
    mark_completed(row, user, at)
    return user


def mark_completed(row: Setup, user: User, at: datetime) -> None:
    """The setup page is gone from now on, and its code worth nothing."""
    row.completed_at, row.completed_by = at, user
    row.save(update_fields=["completed_at", "completed_by"])
    log.info("setup_completed", user_id=str(user.pk))


def lock_setup(at: datetime) -> Setup:
    """The setup row, locked to the end of the transaction: the page and the command never both do it."""
    return _locked_row(at)


def grant_operator(*, at: datetime) -> bool:
    """As the keeper: make who completed the setup the first platform operator. Returns whether nothing is left to do.

    Only while there is no platform operator and not more than one tenant: the app role can write the setup row, so the
    row alone must never give anybody rights over tenants that were there before.
    """
    if PlatformOperator.objects.exists():
        return True
    row = Setup.objects.filter(completed_at__isnull=False).select_related("completed_by").first()
    if row is None or row.completed_by is None:
        return Tenant.objects.exists()
    if Tenant.objects.count() > 1:
        log.error("setup_operator_refused", user_id=str(row.completed_by_id))
        return True
    add_operator(user=row.completed_by, actor=ACTOR, at=at)
    return True


def slug_of(name: str) -> str:
    """A tenant's short name in addresses."""
    return slugify(name)[:63] or "isp"


def _locked_row(at: datetime) -> Setup:
    Setup.objects.bulk_create(
        [Setup(pk=ONLY, nonce=secrets.token_hex(32), expires_at=at + CODE_LIFETIME)],
        ignore_conflicts=True,
    )
    return Setup.objects.select_for_update().get(pk=ONLY)


def _is_usable(row: Setup, at: datetime) -> bool:
    return at < row.expires_at


def _plain(code: str) -> str:
    return "".join(filter(str.isalnum, code)).upper()


def grant_operator_when_completed(stopped: Event) -> None:
    """A thread of the keeper, which ends with the setup. A database that is away is tried again."""
    while not stopped.wait(GRANT_SECONDS):
        try:
            if grant_operator(at=clock.now()):
                return
        except DatabaseError:
            log.warning("setup_operator_delayed")
        finally:
            connection.close()
            connections[OWNER].close()
