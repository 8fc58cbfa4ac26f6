"""Talks to a running simulation's control port."""

import http.client
import json
from typing import Any

TIMEOUT_SECONDS = 10.0


class ControlError(Exception):
    """The simulation is not there, or did not like what was asked; the message is for a person."""


def request(address: tuple[str, int], method: str, path: str, body: Any = None) -> Any:
    """The answer's JSON, None if it has none. Raises ControlError."""
    host, port = address
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    payload = None if body is None else json.dumps(body)
    try:
        connection.request(method, path, payload, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        document = json.loads(content) if content else None
    except (OSError, http.client.HTTPException, ValueError):
        raise ControlError(f"No simulation answers at {host}:{port}.") from None
    finally:
        connection.close()
    if response.status >= http.HTTPStatus.BAD_REQUEST:
        detail = document.get("detail") if isinstance(document, dict) else None
        raise ControlError(detail or f"The simulation answered {response.status}.")
    return document
