"""Setup of a new installation: a one-time code in the server's log authorizes the creation of the first account.

``manage bootstrap`` does the same on the command line, see ``apps.accounts.bootstrap``.
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
from apps.accounts.models.setup import SETUP_ID
from apps.accounts.operators import OWNER, add_operator
from apps.authorization.actors import Actor
from apps.authorization.choices import Role
from apps.core import clock
from apps.core.errors import NotVisible
from apps.tenancy.models import Tenant

log = structlog.get_logger(__name__)

CODE_LIFETIME = timedelta(hours=12)
#: How often the keeper checks whether the setup was completed, to make that user a platform operator.
GRANT_SECONDS = 5
ACTOR = Actor.system("setup")
_SALT = "accounts.setup"
#: 20 base32 characters (100 bits), shown in groups of five.
_CODE_LENGTH, _GROUP_LENGTH = 20, 5


@dataclass(frozen=True)
class FirstTenant:
    """The fields of the setup page."""

    tenant_name: str
    name: str
    email: str
    password: str


def is_open() -> bool:
    """Whether the installation has no tenant and no platform operator, and its setup was not completed."""
    return not (
        Tenant.objects.exists()
        or PlatformOperator.objects.exists()
        or Setup.objects.filter(completed_at__isnull=False).exists()
    )


def log_setup_code(*, at: datetime) -> None:
    """Log the setup code while the setup is open. Every web process logs the same code; an expired one is replaced."""
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


def log_setup_code_at_start() -> None:
    """``log_setup_code`` at server start. Without a database the server starts anyway and logs no code."""
    try:
        log_setup_code(at=clock.now())
    except DatabaseError:
        log.warning("setup_code_unavailable")
    finally:
        connection.close()


def code_of(row: Setup) -> str:
    """The code derived from the row's nonce and the server's secret key."""
    digest = salted_hmac(_SALT, row.nonce, algorithm="sha256").digest()
    letters = base64.b32encode(digest).decode()[:_CODE_LENGTH]
    return "-".join(letters[n : n + _GROUP_LENGTH] for n in range(0, _CODE_LENGTH, _GROUP_LENGTH))


def complete_setup(*, code: str, first: FirstTenant, at: datetime) -> User:
    """Create the first tenant and its admin, whom the keeper makes a platform operator within ``GRANT_SECONDS``.

    Raises NotVisible once the installation is set up, SetupCodeRefused, ValidationError (the code stays valid).
    Locks: the setup row; of concurrent requests exactly one succeeds.
    """
    with transaction.atomic():
        row = _locked_row(at)
        if not is_open():
            raise NotVisible
        if _is_usable(row, at) and constant_time_compare(
            _normalize(code), _normalize(code_of(row))
        ):
            return _complete(row, first, at)
        # Committed before the error is raised. For the log only: attempts are limited per address (``attempts``); a
        # limit over all addresses would let anybody block the setup page.
        row.failures += 1
        row.save(update_fields=["failures"])
    log.warning("setup_code_refused", failures=row.failures)
    raise SetupCodeRefused(
        message=_(
            "The setup code is wrong or expired. The current code is in the log of the web process; after it has "
            "expired, restart the web process to get a new one."
        )
    )


def _complete(row: Setup, first: FirstTenant, at: datetime) -> User:
    validate_password(first.password, User(email=first.email, first_name=first.name))
    if User.objects.filter(email__iexact=first.email).exists():
        raise ValidationError(
            _("An account with this address exists already. Use manage bootstrap instead.")
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
    """Close the setup page and invalidate its code."""
    row.completed_at, row.completed_by = at, user
    row.save(update_fields=["completed_at", "completed_by"])
    log.info("setup_completed", user_id=str(user.pk))


def lock_setup(at: datetime) -> Setup:
    """The setup row, locked until the end of the transaction, so that page and command cannot both run."""
    return _locked_row(at)


def grant_operator(*, at: datetime) -> bool:
    """In the keeper: make the user who completed the setup the first platform operator. Returns whether it is done.

    Only while there is no platform operator and at most one tenant: the app role can write the setup row, so the row
    alone must not grant rights over existing tenants.
    """
    if PlatformOperator.objects.exists():
        return True
    # Before the row: the setup commits both at once, so a tenant that is seen here has its row below.
    has_tenant = Tenant.objects.exists()
    row = Setup.objects.filter(completed_at__isnull=False).select_related("completed_by").first()
    if row is None or row.completed_by is None:
        return has_tenant
    if Tenant.objects.count() > 1:
        log.error("setup_operator_refused", user_id=str(row.completed_by_id))
        return True
    add_operator(user=row.completed_by, actor=ACTOR, at=at)
    return True


def slug_of(name: str) -> str:
    """A slug from a tenant's name."""
    return slugify(name)[:63] or "isp"


def _locked_row(at: datetime) -> Setup:
    Setup.objects.bulk_create(
        [Setup(pk=SETUP_ID, nonce=secrets.token_hex(32), expires_at=at + CODE_LIFETIME)],
        ignore_conflicts=True,
    )
    return Setup.objects.select_for_update().get(pk=SETUP_ID)


def _is_usable(row: Setup, at: datetime) -> bool:
    return at < row.expires_at


def _normalize(code: str) -> str:
    return "".join(filter(str.isalnum, code)).upper()


def grant_operator_when_completed(stopped: Event) -> None:
    """Thread of the keeper; ends when the setup is done. Retries while the database is unavailable."""
    while not stopped.wait(GRANT_SECONDS):
        try:
            if grant_operator(at=clock.now()):
                return
        except DatabaseError:
            log.warning("setup_operator_delayed")
        finally:
            connection.close()
            connections[OWNER].close()
