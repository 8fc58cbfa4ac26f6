"""The control API: topology, true state, and failures."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from agent.simulator import documents
from agent.simulator.connections import Connection, Listener
from agent.simulator.failures import MalformedFailure, UnknownFailure, UnknownTarget
from agent.simulator.http import HttpError, Request, Response, handle_request
from agent.simulator.simulation import Simulation, TooManyFailures


class Control:
    """Serves the control API on loopback."""

    def __init__(self, simulation: Simulation, *, api_port: int, echo_port: int) -> None:
        self._simulation = simulation
        self._api_port = api_port
        self._echo_port = echo_port
        self._listener = Listener(self._serve)

    async def start(self, host: str, port: int) -> int:
        """Raises connections.PortInUse."""
        return await self._listener.start(host, port)

    async def close(self) -> None:
        await self._listener.close()

    async def _serve(self, connection: Connection) -> None:
        await handle_request(connection, self.respond)

    def respond(self, request: Request) -> Response:
        """Raises HttpError."""
        if "origin" in request.headers:
            raise HttpError(
                HTTPStatus.FORBIDDEN, "browser", "Requests of browsers are not allowed."
            )
        route = request.path.rstrip("/")
        known = {
            "/topology": ("GET",),
            "/links": ("GET",),
            "/truth": ("GET",),
            "/failures": ("GET", "POST", "DELETE"),
        }
        if route.startswith("/failures/"):
            allowed: tuple[str, ...] = ("DELETE",)
        elif route in known:
            allowed = known[route]
        else:
            raise HttpError(HTTPStatus.NOT_FOUND, "unknown_path", "Unknown path.")
        if request.method not in allowed:
            detail = "Allowed methods: " + ", ".join(allowed) + "."
            raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, "not_allowed", detail)
        try:
            return self._act(request.method, route, request.body)
        except OSError:
            detail = "It is in effect, but the state folder cannot be written: a restart undoes it."
            raise HttpError(HTTPStatus.INSUFFICIENT_STORAGE, "not_saved", detail) from None

    def _act(self, method: str, route: str, body: bytes) -> Response:
        match method, route:
            case "POST", _:
                return Response(HTTPStatus.CREATED, self._inject(parse_object(body)))
            case "DELETE", "/failures":
                self._simulation.heal_all()
                return Response(HTTPStatus.NO_CONTENT)
            case "DELETE", _:
                if not self._simulation.heal(route.removeprefix("/failures/")):
                    detail = "No such failure; see GET /failures."
                    raise HttpError(HTTPStatus.NOT_FOUND, "unknown_failure", detail)
                return Response(HTTPStatus.NO_CONTENT)
            case _:
                return Response(HTTPStatus.OK, self._document(route))

    def _document(self, route: str) -> Any:
        network = self._simulation.network
        match route:
            case "/topology":
                return documents.topology(
                    network.isp, api_port=self._api_port, echo_port=self._echo_port
                )
            case "/links":
                return documents.links(network)
            case "/truth":
                return documents.truth(network, at=self._simulation.clock())
            case _:
                return documents.failures(network)

    def _inject(self, spec: Mapping[str, object]) -> dict[str, object]:
        try:
            return self._simulation.inject(spec).describe()
        except (MalformedFailure, UnknownFailure) as error:
            raise HttpError(HTTPStatus.UNPROCESSABLE_ENTITY, error.code, str(error)) from None
        except UnknownTarget as error:
            raise HttpError(HTTPStatus.NOT_FOUND, error.code, str(error)) from None
        except TooManyFailures as error:
            raise HttpError(HTTPStatus.CONFLICT, error.code, str(error)) from None


def parse_object(body: bytes) -> dict[str, object]:
    """Raises HttpError."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise HttpError(HTTPStatus.BAD_REQUEST, "malformed", "The body is not JSON.") from None
    if not isinstance(document, dict):
        raise HttpError(HTTPStatus.BAD_REQUEST, "malformed", "The body is not an object.")
    return document
