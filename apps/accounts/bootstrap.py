"""``manage bootstrap``: creates the first users of an installation from the command line."""

from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.password_validation import validate_password
from django.db import transaction

from apps.accounts import services
from apps.accounts.errors import AlreadySetUp
from apps.accounts.models import Membership, PlatformOperator, User
from apps.accounts.operators import add_operator, require_owner
from apps.accounts.setup import lock_setup, mark_completed
from apps.authorization.actors import Actor
from apps.authorization.choices import Role
from apps.tenancy.models import Tenant

ACTOR = Actor.system("bootstrap")


@dataclass(frozen=True)
class NewUser:
    """A user to create. An existing user with this address is used unchanged."""

    email: str
    name: str = ""
    password: str | None = None

    def find(self) -> User | None:
        return User.objects.filter(email__iexact=self.email).first()


@dataclass
class Result:
    """What was created; empty if everything existed."""

    users: list[str] = field(default_factory=list)
    tenant: Tenant | None = None
    operator: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.users or self.tenant or self.operator)


def bootstrap(
    *, operator: NewUser, admin: NewUser, tenant_slug: str, tenant_name: str, at: datetime
) -> Result:
    """Create the first platform operator, the first tenant and its admin, as far as they are missing.

    Idempotent: a second run with the same names creates nothing; an interrupted run can be repeated. Raises
    AlreadySetUp if the installation has another operator or tenant, OwnerNeeded, ValidationError.
    Locks: the setup row.
    """
    require_owner()
    result = Result()
    with transaction.atomic():
        row = lock_setup(at)
        _require_first(operator, admin, tenant_slug)
        user = _ensure_user(operator, result, at)
        manager = user if _is_same(operator, admin) else _ensure_user(admin, result, at)
        if not Tenant.objects.exists():
            result.tenant = services.create_tenant(
                slug=tenant_slug, name=tenant_name, actor=ACTOR, at=at
            )
            services.add_member(
                tenant=result.tenant, user=manager, role=Role.ADMIN, actor=ACTOR, at=at
            )
        if row.completed_at is None:
            mark_completed(row, user, at)
    # After the commit: the owner's connection must see the user.
    if add_operator(user=user, actor=ACTOR, at=at):
        result.operator = user.email
    return result


def missing_users(operator: NewUser, admin: NewUser) -> list[NewUser]:
    """The users that do not exist yet, and so need a password."""
    users = [operator] if _is_same(operator, admin) else [operator, admin]
    return [new_user for new_user in users if new_user.find() is None]


def _require_first(operator: NewUser, admin: NewUser, tenant_slug: str) -> None:
    operators = PlatformOperator.objects.select_related("user").order_by("since")
    emails = [row.user.email for row in operators]
    if emails and operator.email.casefold() not in {email.casefold() for email in emails}:
        raise AlreadySetUp(
            message=f"Nothing was changed: this installation has a platform operator already ({emails[0]}). "
            "Add more with: manage platform_operator add EMAIL"
        )
    tenants = list(Tenant.objects.order_by("created_at")[:2])
    tenant = next((t for t in tenants if t.slug.casefold() == tenant_slug.casefold()), None)
    if tenants and tenant is None:
        raise AlreadySetUp(
            message=f"Nothing was changed: this installation has a tenant already ({tenants[0].slug}). "
            "Platform operators create more on the Tenants page."
        )
    is_admin = Membership.objects.filter(
        tenant=tenant, user__email__iexact=admin.email, role=Role.ADMIN
    )
    if tenant is not None and not is_admin.exists():
        raise AlreadySetUp(
            message=f"Nothing was changed: {admin.email} is no admin of the tenant {tenant.slug}; "
            "its admins can invite users."
        )


def _ensure_user(new_user: NewUser, result: Result, at: datetime) -> User:
    existing = new_user.find()
    if existing is not None:
        return existing
    validate_password(new_user.password or "", User(email=new_user.email, first_name=new_user.name))
    result.users.append(new_user.email)
    return services.create_user(
        email=new_user.email, password=new_user.password, full_name=new_user.name, verified_at=at
    )


def _is_same(one: NewUser, other: NewUser) -> bool:
    return one.email.casefold() == other.email.casefold()
