"""Users of a generated ISP: one per role, and one with access to a single site."""

from datetime import datetime

from apps.accounts import services as accounts
from apps.accounts.members import change_member
from apps.accounts.models import Membership, User
from apps.authorization.choices import Role
from apps.inventory.models import Site
from apps.inventory.services.grants import grant
from apps.lab.seed.inventory import SEEDER
from apps.lab.seed.network import Network
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

USERS = (
    ("admin", "Amal Haddad", Role.ADMIN),
    ("noc", "Noor Vidal", Role.NOC),
    ("shift", "Sara Moreno", Role.NOC),
    ("reader", "Rafa Ibarra", Role.READONLY),
    ("auditor", "Aude Laurent", Role.AUDITOR),
    ("field", "Felipe Campos", Role.NOC),
)
#: Limited to one PoP.
LIMITED = "field"


def write_users(tenant: Tenant, network: Network, *, password: str, at: datetime) -> list[User]:
    """Create missing users and set this password; sessions of users who have it already remain valid."""
    found = []
    for name, full_name, role in USERS:
        email = f"{name}@{network.size.domain}"
        user = User.objects.filter(email=email).first()
        if user is None:
            user = accounts.create_user(
                email=email, password=password, full_name=full_name, verified_at=at
            )
        elif not user.check_password(password):
            user.set_password(password)
            user.save(update_fields=["password"])
        if not Membership.objects.filter(tenant=tenant, user=user).exists():
            accounts.add_member(tenant=tenant, user=user, role=role, actor=SEEDER, at=at)
        found.append(user)
    with acting_in(tenant):
        _limit(tenant, network, found[[name for name, _, _ in USERS].index(LIMITED)], at)
    return found


def _limit(tenant: Tenant, network: Network, user: User, at: datetime) -> None:
    member = Membership.objects.get(tenant=tenant, user=user)
    if member.is_limited:
        return
    change_member(member=member, changes={"is_limited": True}, actor=SEEDER, at=at)
    pop = next(site for site in network.sites if site.number)
    grant(user_id=user.id, row=Site.objects.get(pk=pop.id), actor=SEEDER, at=at)
