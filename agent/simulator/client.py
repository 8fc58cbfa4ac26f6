"""Client of the control API of a running simulator."""

import http.client
import json
from typing import Any

TIMEOUT_SECONDS = 10.0


class ControlError(Exception):
    """The simulator is not running or refused the request; the message is shown to the user."""


def request(address: tuple[str, int], method: str, path: str, body: Any = None) -> Any:
    """The JSON of the response; None if the body is empty. Raises ControlError."""
    host, port = address
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    payload = None if body is None else json.dumps(body)
    try:
        connection.request(method, path, payload, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        document = json.loads(content) if content else None
    except (OSError, http.client.HTTPException, ValueError):
        raise ControlError(f"No simulator responds at {host}:{port}.") from None
    finally:
        connection.close()
    if response.status >= http.HTTPStatus.BAD_REQUEST:
        detail = document.get("detail") if isinstance(document, dict) else None
        raise ControlError(detail or f"The simulator responded with status {response.status}.")
    return document
