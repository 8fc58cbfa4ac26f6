import pytest
from django.db import connections

from apps.tenancy import guard

pytestmark = pytest.mark.django_db(databases=["default", "owner"])


def test_the_app_role_may_serve():
    guard.refuse_bypassing_role()


def test_the_owner_role_may_not(monkeypatch):
    monkeypatch.setattr(guard, "connection", connections["owner"])

    with pytest.raises(guard.RoleCanBypass, match="owns tenant tables"):
        guard.refuse_bypassing_role()
