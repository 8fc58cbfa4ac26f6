"""What ``manage bootstrap`` does: the first people of an installation, made by whoever runs the machine."""

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
class Person:
    """Somebody to create, or to find by their address. A person who is there keeps name and password."""

    email: str
    name: str = ""
    password: str | None = None

    def find(self) -> User | None:
        return User.objects.filter(email__iexact=self.email).first()


@dataclass
class Result:
    """What was created; all empty: everything was there already."""

    people: list[str] = field(default_factory=list)
    tenant: Tenant | None = None
    operator: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.people or self.tenant or self.operator)


def bootstrap(
    *, operator: Person, admin: Person, tenant_slug: str, tenant_name: str, at: datetime
) -> Result:
    """Create the first platform operator, the first tenant and its admin, as far as they are missing.

    Idempotent: a second run with the same names creates nothing, one that was interrupted is completed. Raises
    AlreadySetUp when the installation has another operator or tenant, OwnerNeeded, ValidationError.
    Locks: the setup row.
    """
    require_owner()
    result = Result()
    with transaction.atomic():
        row = lock_setup(at)
        _require_first(operator, admin, tenant_slug)
        user = _ensure_person(operator, result, at)
        manager = user if _is_same(operator, admin) else _ensure_person(admin, result, at)
        if not Tenant.objects.exists():
            result.tenant = services.create_tenant(
                slug=tenant_slug, name=tenant_name, actor=ACTOR, at=at
            )
            services.add_member(
                tenant=result.tenant, user=manager, role=Role.ADMIN, actor=ACTOR, at=at
            )
        if row.completed_at is None:
            mark_completed(row, user, at)
    # After the commit: the owner's connection must see the person.
    if add_operator(user=user, actor=ACTOR, at=at):
        result.operator = user.email
    return result


def missing_people(operator: Person, admin: Person) -> list[Person]:
    """Who has to be created, and so needs a password."""
    people = [operator] if _is_same(operator, admin) else [operator, admin]
    return [person for person in people if person.find() is None]


def _require_first(operator: Person, admin: Person, tenant_slug: str) -> None:
    operators = PlatformOperator.objects.select_related("user").order_by("since")
    emails = [row.user.email for row in operators]
    if emails and operator.email.casefold() not in {email.casefold() for email in emails}:
        raise AlreadySetUp(
            message=f"Nothing was changed: this installation has a platform operator already ({emails[0]}). "
            "More are made with: manage platform_operator add EMAIL"
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
            "its admins invite people."
        )


def _ensure_person(person: Person, result: Result, at: datetime) -> User:
    found = person.find()
    if found is not None:
        return found
    validate_password(person.password or "", User(email=person.email, first_name=person.name))
    result.people.append(person.email)
    return services.create_user(
        email=person.email, password=person.password, full_name=person.name, verified_at=at
    )


def _is_same(one: Person, other: Person) -> bool:
    return one.email.casefold() == other.email.casefold()
