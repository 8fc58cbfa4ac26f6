"""Servers for the tests: PostgreSQL and Valkey of their own, apart from the demo's."""

import os
from pathlib import Path

from ispvm.supervisor.environment import connect_services, platform_environment
from ispvm.supervisor.places import Home, home_folder
from ispvm.supervisor.services import Services

# Held until this process ends: the servers stop when the last pytest process is gone.
_held: list[Services] = []


def ensure_services() -> dict[str, str]:
    """Start or share the test servers; answers the environment variables that the tests need.

    Safe for any number of processes at once (each xdist worker, several pytest runs); call it
    in each. Raises LaunchError with one sentence when the servers cannot be started.
    """
    home = Home(test_folder())
    urls, services = connect_services(home, durable=False)
    if services:
        _held.append(services)
    environment = platform_environment(home, urls)
    added = {name: value for name, value in environment.items() if os.environ.get(name) != value}
    return {**urls, **added, "ISPVM_ENV": "test"}


def test_folder() -> Path:
    """The data folder of the tests: one for each way of choosing the PostgreSQL."""
    root = home_folder()
    if os.environ.get("ISPVM_ENV") == "test" and root.name.startswith("test"):
        return root  # a process started by the tests: the variables are already theirs
    flavour = os.environ.get("ISPVM_POSTGRES")
    return root / (f"test-{flavour}" if flavour else "test")
