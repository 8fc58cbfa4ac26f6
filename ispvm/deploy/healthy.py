"""Whether this container's process answers: a health check's command. Run as a script:

python -I -S healthy.py PORT PATH...
python -I -S healthy.py /path/of/a/unix.sock PATH...

Every path has to be answered 200.
"""

import http.client
import socket
import sys

SECONDS = 5


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket; its path is in the place of a host."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self.host)


def answers(where: str, path: str) -> bool:
    connection = (
        _UnixConnection(where, timeout=SECONDS)
        if where.startswith("/")
        else http.client.HTTPConnection("127.0.0.1", int(where), timeout=SECONDS)
    )
    try:
        connection.request("GET", path, headers={"Host": "127.0.0.1"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(arguments: list[str]) -> int:
    where, *paths = arguments
    return 0 if paths and all(answers(where, path) for path in paths) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
