"""Settings of `run.py check`: the tests', with the migration linter."""

from ispvm.settings.test import *

INSTALLED_APPS = [*INSTALLED_APPS, "django_migration_linter"]
MIGRATION_LINTER_OPTIONS = {
    "no_cache": True,
    "sql_analyser": "postgresql",
    "warnings_as_errors": True,
    "ignore_initial_migrations": True,  # their tables are empty
    "ignore_name": [
        # Moves columns to the tables of apps.delivery, with their rows: an installation upgrades as a whole.
        "0002_deliveries_to_the_engine",
    ],
    "exclude_apps": [
        app.rpartition(".")[2] for app in INSTALLED_APPS if not app.startswith("apps.")
    ],
}
