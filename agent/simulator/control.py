"""The control API: what was built, what is true, and the excavator."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from agent.simulator import documents
from agent.simulator.failures import MalformedFailure, UnknownFailure, UnknownTarget
from agent.simulator.http import Refused, Request, Response, converse
from agent.simulator.lines import Line, Listener
from agent.simulator.world import TooManyFailures, World


class Control:
    """Answers on loopback, to whoever plays the fates."""

    def __init__(self, world: World, *, api_port: int, echo_port: int) -> None:
        self._world = world
        self._api_port = api_port
        self._echo_port = echo_port
        self._listener = Listener(self._serve)

    async def start(self, host: str, port: int) -> int:
        """Raises lines.PortBusy."""
        return await self._listener.start(host, port)

    async def close(self) -> None:
        await self._listener.close()

    async def _serve(self, line: Line) -> None:
        await converse(line, self.respond)

    def respond(self, request: Request) -> Response:
        """Raises Refused."""
        if "origin" in request.headers:
            raise Refused(HTTPStatus.FORBIDDEN, "browser", "Web pages have no business here.")
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
            raise Refused(HTTPStatus.NOT_FOUND, "unknown_path", "There is nothing here.")
        if request.method not in allowed:
            detail = "Here one may only " + ", ".join(allowed) + "."
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "not_allowed", detail)
        try:
            return self._act(request.method, route, request.body)
        except OSError:
            detail = "It happened, but the state folder does not take it: a restart forgets it."
            raise Refused(HTTPStatus.INSUFFICIENT_STORAGE, "not_saved", detail) from None

    def _act(self, method: str, route: str, body: bytes) -> Response:
        match method, route:
            case "POST", _:
                return Response(HTTPStatus.CREATED, self._break(parse_object(body)))
            case "DELETE", "/failures":
                self._world.heal_everything()
                return Response(HTTPStatus.NO_CONTENT)
            case "DELETE", _:
                if not self._world.heal(route.removeprefix("/failures/")):
                    detail = "There is no such failure; GET /failures lists them."
                    raise Refused(HTTPStatus.NOT_FOUND, "unknown_failure", detail)
                return Response(HTTPStatus.NO_CONTENT)
            case _:
                return Response(HTTPStatus.OK, self._tell(route))

    def _tell(self, route: str) -> Any:
        network = self._world.network
        match route:
            case "/topology":
                return documents.topology(
                    network.isp, api_port=self._api_port, echo_port=self._echo_port
                )
            case "/links":
                return documents.links(network)
            case "/truth":
                return documents.truth(network, at=self._world.clock())
            case _:
                return documents.failures(network)

    def _break(self, wish: Mapping[str, object]) -> dict[str, object]:
        try:
            return self._world.break_(wish).describe()
        except (MalformedFailure, UnknownFailure) as error:
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, error.code, str(error)) from None
        except UnknownTarget as error:
            raise Refused(HTTPStatus.NOT_FOUND, error.code, str(error)) from None
        except TooManyFailures as error:
            raise Refused(HTTPStatus.CONFLICT, error.code, str(error)) from None


def parse_object(body: bytes) -> dict[str, object]:
    """Raises Refused."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(HTTPStatus.BAD_REQUEST, "malformed", "The body is not JSON.") from None
    if not isinstance(document, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "malformed", "The body is not an object.")
    return document
