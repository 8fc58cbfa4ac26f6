import pytest
from django.db import connections

from apps.tenancy import startup_checks

pytestmark = pytest.mark.django_db(databases=["default", "owner"])


def test_the_app_role_may_serve():
    startup_checks.check_database_role()


def test_the_owner_role_may_not(monkeypatch):
    monkeypatch.setattr(startup_checks, "connection", connections["owner"])

    with pytest.raises(startup_checks.RoleBypassesRowSecurity, match="owns tenant tables"):
        startup_checks.check_database_role()
