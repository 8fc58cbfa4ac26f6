"""Minimal HTTP/1.1 for the control port: one request, one JSON response, then the connection closes."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from agent.simulator.connections import CHUNK, Connection, ConnectionClosed

MAX_HEADER_BYTES = 16_384
MAX_BODY_BYTES = 65_536
REQUEST_SECONDS = 10.0
REQUEST_LINE = re.compile(r"([A-Z]{1,16}) (/[\x21-\x7e]{0,1000}) HTTP/1\.[01]")
END_OF_HEADERS = b"\r\n\r\n"


class HttpError(Exception):
    """The request is answered with an error response."""

    def __init__(self, status: HTTPStatus, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class Request:
    """An HTTP request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """An HTTP response; without content it has no body."""

    status: HTTPStatus
    content: Any = None

    def encode(self) -> bytes:
        body = b"" if self.content is None else json.dumps(self.content).encode() + b"\n"
        head = f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\nConnection: close\r\n"
        if self.status is not HTTPStatus.NO_CONTENT:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body


def error_response(error: HttpError) -> Response:
    return Response(error.status, {"code": error.code, "detail": error.detail})


async def handle_request(connection: Connection, respond: Callable[[Request], Response]) -> None:
    """Raises ConnectionClosed."""
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            request = await read_request(connection.reader)
        response = respond(request)
    except HttpError as error:
        response = error_response(error)
    except TimeoutError:
        timeout = HttpError(HTTPStatus.REQUEST_TIMEOUT, "too_slow", "The request took too long.")
        response = error_response(timeout)
    except OSError:
        raise ConnectionClosed from None
    connection.writer.write(response.encode())
    await connection.close_gracefully()


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Raises HttpError, ConnectionClosed."""
    received = bytearray()
    while END_OF_HEADERS not in received:
        if len(received) > MAX_HEADER_BYTES:
            raise HttpError(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too_long", "The headers are too long."
            )
        received += await read_more(reader)
    head, _, body = bytes(received).partition(END_OF_HEADERS)
    request = parse_head(head)
    length = content_length(request)
    while len(body) < length:
        body += await read_more(reader)
    return Request(request.method, request.path, request.headers, body[:length])


async def read_more(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(CHUNK)
    if not data:
        raise ConnectionClosed
    return data


def parse_head(head: bytes) -> Request:
    """Raises HttpError."""
    first, *rest = head.decode("latin-1").split("\r\n")
    request_line = REQUEST_LINE.fullmatch(first)
    fields = [field.partition(":") for field in rest]
    if request_line is None or any(not colon or name != name.strip() for name, colon, _ in fields):
        raise HttpError(HTTPStatus.BAD_REQUEST, "malformed", "This is not an HTTP request.")
    headers = {name.lower(): value.strip() for name, _, value in fields}
    return Request(request_line[1], request_line[2].partition("?")[0], headers)


def content_length(request: Request) -> int:
    """Raises HttpError."""
    if "transfer-encoding" in request.headers:
        raise HttpError(HTTPStatus.LENGTH_REQUIRED, "no_length", "Send the body with its length.")
    text = request.headers.get("content-length", "0")
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise HttpError(HTTPStatus.BAD_REQUEST, "malformed", "The length is not a number.")
    if int(text) > MAX_BODY_BYTES:
        raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_long", "The body is too long.")
    return int(text)
