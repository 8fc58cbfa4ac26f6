"""Command of container health checks: whether the process responds. Run as a script:

python -I -S healthy.py PORT PATH...
python -I -S healthy.py /path/of/a/unix.sock PATH...

Every path must return status 200.
"""

import http.client
import socket
import sys

SECONDS = 5


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket; its path is passed as the host."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self.host)


def is_healthy(address: str, path: str) -> bool:
    connection = (
        _UnixConnection(address, timeout=SECONDS)
        if address.startswith("/")
        else http.client.HTTPConnection("127.0.0.1", int(address), timeout=SECONDS)
    )
    try:
        connection.request("GET", path, headers={"Host": "127.0.0.1"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(arguments: list[str]) -> int:
    address, *paths = arguments
    return 0 if paths and all(is_healthy(address, path) for path in paths) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
