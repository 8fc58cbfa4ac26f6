"""Where a request ends. gunicorn's parser decides what it means; this only says when all of it is there."""

import re

HEADERS_END = b"\r\n\r\n"
_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}")
_LONGEST_LINE = 8190


class ChunkScanner:
    """Finds the end of a chunked body (RFC 9112, 7.1) as it arrives.

    What it cannot read ends the body there: the parser, which gets the same bytes, refuses it.
    """

    def __init__(self) -> None:
        self.is_done = False
        self.is_valid = True
        self._line = bytearray()
        self._left = 0  # of the chunk's data and the CRLF behind it
        self._in_trailers = False

    def feed(self, data: bytes) -> int:
        """Take bytes in; answers how many of them belong to the body."""
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
        if len(self._line) > _LONGEST_LINE:
            self._give_up()
        elif end >= 0:
            line, self._line = bytes(self._line), bytearray()
            self._take_line(line)
        return stop

    def _take_line(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            self._give_up()
        elif self._in_trailers:
            self.is_done = line == b"\r\n"
        else:
            size = line[:-2].split(b";", 1)[0].rstrip(b" \t")
            if not _SIZE.fullmatch(size):
                self._give_up()
            elif int(size, 16):
                self._left = int(size, 16) + 2
            else:
                self._in_trailers = True

    def _give_up(self) -> None:
        self.is_done, self.is_valid = True, False
