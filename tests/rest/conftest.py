"""The REST API as its description tells it, on the real application and database."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator

from tests.rest.world import World, build


class Application:
    """The real one, until a test of the tests puts another in its place."""

    def __init__(self) -> None:
        self.inner: Any = WSGIHandler()

    def __call__(self, environ: Any, start: Any) -> Any:
        answer = self.inner(environ, start)
        try:
            return [b"".join(answer)]
        finally:  # as servers do (PEP 3333); Schemathesis does not
            if hasattr(answer, "close"):
                answer.close()


@pytest.fixture(scope="session")
def description() -> dict[str, Any]:
    """The OpenAPI document."""
    client = SchemaGenerator().get_schema(request=None, public=True)
    return json.loads(json.dumps(client, default=str))


@pytest.fixture
def described(description) -> Iterator[Any]:
    """The same for Schemathesis, calling the WSGI application within the test's transaction."""
    schema = schemathesis.openapi.from_dict(description)
    schema.app = Application()
    # As Django's own test client does: a request would end the connection, and with it the test's transaction.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield schema
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def world(acme, globex) -> World:
    return build(acme, globex)
