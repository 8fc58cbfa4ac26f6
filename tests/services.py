"""A pytest plugin, loaded before Django: starts (or finds) PostgreSQL and Valkey for the tests.

`run.py test` has done it already and exported the environment; a bare `pytest` gets the same here.
"""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "ispvm.settings.test"  # before anything imports ispvm

if "DATABASE_OWNER_URL" not in os.environ:
    from ispvm.supervisor.testing import ensure_services

    os.environ.update(ensure_services())
