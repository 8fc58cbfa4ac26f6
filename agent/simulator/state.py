"""What outlives a kill: what is broken, and what every router remembers of it."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.simulator.blueprint import Blueprint
from agent.simulator.changes import Change
from agent.simulator.failures import failure_from
from agent.simulator.history import Record
from agent.simulator.network import EVER, Network


class StateError(Exception):
    """The state folder cannot be used; the message is for the person who chose it."""


class StateFile:
    """The network's state as one JSON file, replaced as a whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "network.json"

    def load(self, isp: Blueprint, *, now: datetime) -> tuple[Network, int]:
        """The network as it was left, or a new one that begins now, with the last failure's number.

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
            network, last_number = restored(json.loads(text), isp)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise StateError(f"{self.path} is damaged; remove it to begin anew.") from None
        network.catch_up(now)
        return network, last_number

    def save(self, network: Network, last_number: int) -> None:
        """Raises OSError."""
        document = written(network, last_number)
        draft = self.path.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)


def written(network: Network, last_number: int) -> dict[str, Any]:
    """As JSON; `restored` reads it back."""
    return {
        "seed": network.isp.seed,
        "began_at": network.began_at.isoformat(),
        "noted_at": network.noted_at.isoformat(),
        "last_number": last_number,
        "failures": [failure.describe() for failure in network.failures.values()],
        "changes": [change.describe() for change in network.changes],
        "records": {key: record.describe() for key, record in network.records.items()},
    }


def restored(document: Any, isp: Blueprint) -> tuple[Network, int]:
    if document["seed"] != isp.seed:
        raise StateError(
            f"The state folder holds the network of seed {document['seed']}, not of {isp.seed}; "
            "choose another folder or that seed."
        )
    failures = [failure_from(failure, isp) for failure in document["failures"]]
    noted_at = document.get("noted_at")  # absent in what older versions left
    network = Network(
        isp,
        began_at=datetime.fromisoformat(document["began_at"]),
        failures={failure.id: failure for failure in failures},
        noted_at=EVER if noted_at is None else datetime.fromisoformat(noted_at),
        changes=[Change.restored(change) for change in document.get("changes", ())],
        records={key: Record.restored(record) for key, record in document["records"].items()},
    )
    return network, int(document["last_number"])
