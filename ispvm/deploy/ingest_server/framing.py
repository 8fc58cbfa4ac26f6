"""Detects the end of a request. gunicorn's parser interprets it; this only tells when it is complete."""

import re

HEADERS_END = b"\r\n\r\n"
_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}")
_MAX_LINE = 8190


class ChunkScanner:
    """Finds the end of a chunked body (RFC 9112, 7.1) as it arrives.

    On malformed input it ends the body there: the parser, which gets the same bytes, rejects it.
    """

    def __init__(self) -> None:
        self.is_done = False
        self.is_valid = True
        self._line = bytearray()
        self._left = 0  # of the chunk's data and the CRLF after it
        self._in_trailers = False

    def feed(self, data: bytes) -> int:
        """Process bytes; returns how many of them belong to the body."""
        position = 0
        while position < len(data) and not self.is_done:
            if self._left:
                step = min(self._left, len(data) - position)
                self._left -= step
                position += step
            else:
                position = self._read_line(data, position)
        return position

    def _read_line(self, data: bytes, position: int) -> int:
        end = data.find(b"\n", position)
        stop = len(data) if end < 0 else end + 1
        self._line += data[position:stop]
        if len(self._line) > _MAX_LINE:
            self._fail()
        elif end >= 0:
            line, self._line = bytes(self._line), bytearray()
            self._parse_line(line)
        return stop

    def _parse_line(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            self._fail()
        elif self._in_trailers:
            self.is_done = line == b"\r\n"
        else:
            size = line[:-2].split(b";", 1)[0].rstrip(b" \t")
            if not _SIZE.fullmatch(size):
                self._fail()
            elif int(size, 16):
                self._left = int(size, 16) + 2
            else:
                self._in_trailers = True

    def _fail(self) -> None:
        self.is_done, self.is_valid = True, False
