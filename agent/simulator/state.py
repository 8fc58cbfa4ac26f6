"""The persistent state: failures, changes and state histories."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.simulator.blueprint import Blueprint
from agent.simulator.changes import Change
from agent.simulator.failures import failure_from
from agent.simulator.history import StateRecord
from agent.simulator.network import UNKNOWN_TIME, Network


class StateError(Exception):
    """The state folder cannot be used; the message is shown to the user."""


class StateFile:
    """The network's state as one JSON file, replaced atomically."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "network.json"

    def load(self, isp: Blueprint, *, now: datetime) -> tuple[Network, int]:
        """The saved network, or a new one that starts now, with the number of the last failure.

        Raises StateError.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return Network(isp, began_at=now), 0
        except OSError as error:
            raise StateError(f"{self.path} cannot be read: {error.strerror}.") from None
        try:
            network, last_number = from_document(json.loads(text), isp)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise StateError(f"{self.path} is damaged; remove it to start anew.") from None
        network.catch_up(now)
        return network, last_number

    def save(self, network: Network, last_number: int) -> None:
        """Raises OSError."""
        document = to_document(network, last_number)
        temporary = self.path.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)


def to_document(network: Network, last_number: int) -> dict[str, Any]:
    """As JSON; the inverse of `from_document`."""
    return {
        "seed": network.isp.seed,
        "began_at": network.began_at.isoformat(),
        "last_change_at": network.last_change_at.isoformat(),
        "last_number": last_number,
        "failures": [failure.describe() for failure in network.failures.values()],
        "changes": [change.describe() for change in network.changes],
        "records": {key: record.describe() for key, record in network.records.items()},
    }


def from_document(document: Any, isp: Blueprint) -> tuple[Network, int]:
    if document["seed"] != isp.seed:
        raise StateError(
            f"The state folder holds the network of seed {document['seed']}, not of {isp.seed}; "
            "choose another folder or that seed."
        )
    failures = [failure_from(failure, isp) for failure in document["failures"]]
    last_change_at = document.get("last_change_at")  # absent in files of older versions
    network = Network(
        isp,
        began_at=datetime.fromisoformat(document["began_at"]),
        failures={failure.id: failure for failure in failures},
        last_change_at=UNKNOWN_TIME
        if last_change_at is None
        else datetime.fromisoformat(last_change_at),
        changes=[Change.from_document(change) for change in document.get("changes", ())],
        records={
            key: StateRecord.from_document(record) for key, record in document["records"].items()
        },
    )
    return network, int(document["last_number"])
