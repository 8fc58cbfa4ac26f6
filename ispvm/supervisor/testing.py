"""Servers of the tests: PostgreSQL and Valkey, separate from those of the demo."""

import os
from pathlib import Path

from ispvm.supervisor.environment import connect_services, platform_environment
from ispvm.supervisor.paths import Home, home_folder
from ispvm.supervisor.services import Services

# Held until this process ends: the servers stop after the last pytest process has ended.
_leases: list[Services] = []


def ensure_services() -> dict[str, str]:
    """Start or share the test servers; returns the environment variables of the tests.

    Safe for any number of processes at once (each xdist worker, several pytest runs); call it
    in each. Raises LaunchError if the servers cannot be started.
    """
    home = Home(test_folder())
    urls, services = connect_services(home, durable=False)
    if services:
        _leases.append(services)
    environment = platform_environment(home, urls)
    added = {name: value for name, value in environment.items() if os.environ.get(name) != value}
    return {**urls, **added, "ISPVM_ENV": "test"}


def test_folder() -> Path:
    """The data folder of the tests: one per value of ISPVM_POSTGRES."""
    root = home_folder()
    if os.environ.get("ISPVM_ENV") == "test" and root.name.startswith("test"):
        return root  # started by the tests, with their environment
    flavour = os.environ.get("ISPVM_POSTGRES")
    return root / (f"test-{flavour}" if flavour else "test")
