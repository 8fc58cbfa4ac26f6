"""A pytest plugin, loaded before Django: starts (or finds) PostgreSQL and Valkey for the tests.

`run.py test` has done it already and exported the environment; a bare `pytest` gets the same here. Each process then
has a database of Valkey to itself.
"""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "ispvm.settings.test"  # before anything imports ispvm

if "DATABASE_OWNER_URL" not in os.environ:
    from ispvm.supervisor.testing import ensure_services

    os.environ.update(ensure_services())

from tests.slots import own_redis_url

os.environ["REDIS_URL"] = own_redis_url(os.environ["REDIS_URL"])
