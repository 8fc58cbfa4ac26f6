"""The demo's tenant, its users, and the API token for everything else."""

import secrets

from apps.accounts import services as accounts
from apps.accounts.models import User
from apps.alerts import services as alerts
from apps.authorization.actors import Actor
from apps.authorization.choices import Role
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.lab.demo.folder import Folder
from apps.lab.demo.rest import Rest, RestError
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

PROVISIONER = Actor.system("demo")
PACK = "first"
USERS = (
    ("admin@demo.example", "Amal Admin", Role.ADMIN),
    ("noc@demo.example", "Noor Operator", Role.NOC),
    ("reader@demo.example", "Rafa Reader", Role.READONLY),
)


def ensure_tenant(name: str) -> Tenant:
    """The demo's tenant with its rule pack."""
    tenant = Tenant.objects.filter(slug="demo").first()
    if tenant is None:
        tenant = accounts.create_tenant(slug="demo", name=name, actor=PROVISIONER, at=clock.now())
    with acting_in(tenant):
        alerts.install_pack(pack=PACK, actor=PROVISIONER, at=clock.now())
    return tenant


def ensure_users(tenant: Tenant, folder: Folder) -> User:
    """One user per role, with passwords stored in the folder; returns the admin."""
    if not folder.read_text("credentials.json"):
        created = [
            {"email": email, "password": secrets.token_urlsafe(12), "role": role.value}
            for email, _, role in USERS
        ]
        folder.write_json("credentials.json", created)
    passwords = {row["email"]: row["password"] for row in folder.read_json("credentials.json")}
    found = []
    for email, name, role in USERS:
        user = User.objects.filter(email=email).first() or accounts.create_user(
            email=email, password=passwords[email], full_name=name, verified_at=clock.now()
        )
        accounts.add_member(tenant=tenant, user=user, role=role, actor=PROVISIONER, at=clock.now())
        found.append(user)
    return found[0]


def ensure_token(tenant: Tenant, admin: User, folder: Folder) -> str:
    """A valid API token: the one in the folder, else a new one."""
    known = folder.read_text("api.token")
    if known and _works(folder, known):
        return known
    _, text = accounts.issue_token(
        tenant=tenant,
        user=admin,
        name="demo",
        # All scopes by name: without a list a token lacks logins.approve.
        scopes=[permission.value for permission in Permission],
        actor=PROVISIONER,
        at=clock.now(),
    )
    folder.write_text("api.token", text)
    return text


def rest_of(folder: Folder, token: str, *, patience_seconds: float = 0) -> Rest:
    """Client of the platform's REST API."""
    return Rest(f"{folder.plan['web_url']}/api/v1", token, patience_seconds=patience_seconds)


def _works(folder: Folder, token: str) -> bool:
    try:
        found = rest_of(folder, token).get("/me/")
    except RestError:
        return False
    return Permission.LOGINS_APPROVE in found["permissions"]
