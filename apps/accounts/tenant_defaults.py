"""What a new tenant starts with, for apps above accounts that bring defaults, such as alert rules."""

from collections.abc import Callable
from datetime import datetime

from apps.authorization.actors import Actor
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant

Installer = Callable[[Actor, datetime], object]

_installers: list[Installer] = []


def register_tenant_default(installer: Installer) -> None:
    """Register a callable(actor, time). It is called inside the new tenant, in the transaction that creates it."""
    _installers.append(installer)


def install_tenant_defaults(*, tenant: Tenant, actor: Actor, at: datetime) -> None:
    """Install the defaults of all apps in this tenant."""
    with acting_in(tenant):
        for installer in _installers:
            installer(actor, at)
