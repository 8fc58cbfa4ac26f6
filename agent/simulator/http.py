"""Just enough HTTP/1.1 for a control port on loopback: one request, one JSON answer, closed."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from agent.simulator.lines import CHUNK, HungUp, Line

MOST_HEADER_BYTES = 16_384
MOST_BODY_BYTES = 65_536
REQUEST_SECONDS = 10.0
REQUEST_LINE = re.compile(r"([A-Z]{1,16}) (/[\x21-\x7e]{0,1000}) HTTP/1\.[01]")
END_OF_HEADERS = b"\r\n\r\n"


class Refused(Exception):
    """The request gets an error for an answer."""

    def __init__(self, status: HTTPStatus, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class Request:
    """What somebody wants."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """What they get; no content is no body at all."""

    status: HTTPStatus
    content: Any = None

    def encode(self) -> bytes:
        body = b"" if self.content is None else json.dumps(self.content).encode() + b"\n"
        head = f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\nConnection: close\r\n"
        if self.status is not HTTPStatus.NO_CONTENT:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body


def refusal(refused: Refused) -> Response:
    return Response(refused.status, {"code": refused.code, "detail": refused.detail})


async def converse(line: Line, respond: Callable[[Request], Response]) -> None:
    """Raises HungUp."""
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            request = await read_request(line.reader)
        response = respond(request)
    except Refused as refused:
        response = refusal(refused)
    except TimeoutError:
        late = Refused(HTTPStatus.REQUEST_TIMEOUT, "too_slow", "The request took too long.")
        response = refusal(late)
    except OSError:
        raise HungUp from None
    line.writer.write(response.encode())
    await line.say_no_more()


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Raises Refused, HungUp."""
    received = bytearray()
    while END_OF_HEADERS not in received:
        if len(received) > MOST_HEADER_BYTES:
            raise Refused(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too_long", "The headers are too long."
            )
        received += await more(reader)
    head, _, body = bytes(received).partition(END_OF_HEADERS)
    request = parse_head(head)
    length = content_length(request)
    while len(body) < length:
        body += await more(reader)
    return Request(request.method, request.path, request.headers, body[:length])


async def more(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(CHUNK)
    if not data:
        raise HungUp
    return data


def parse_head(head: bytes) -> Request:
    """Raises Refused."""
    first, *rest = head.decode("latin-1").split("\r\n")
    line = REQUEST_LINE.fullmatch(first)
    fields = [field.partition(":") for field in rest]
    if line is None or any(not colon or name != name.strip() for name, colon, _ in fields):
        raise Refused(HTTPStatus.BAD_REQUEST, "malformed", "This is no HTTP request.")
    headers = {name.lower(): value.strip() for name, _, value in fields}
    return Request(line[1], line[2].partition("?")[0], headers)


def content_length(request: Request) -> int:
    """Raises Refused."""
    if "transfer-encoding" in request.headers:
        raise Refused(HTTPStatus.LENGTH_REQUIRED, "no_length", "Send the body with its length.")
    text = request.headers.get("content-length", "0")
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise Refused(HTTPStatus.BAD_REQUEST, "malformed", "The length is not a number.")
    if int(text) > MOST_BODY_BYTES:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_long", "The body is too long.")
    return int(text)
