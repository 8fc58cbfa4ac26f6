"""Whether this container's process answers: a health check's command. Run as a script:

python -I -S healthy.py PORT PATH
"""

import http.client
import sys

SECONDS = 5


def main(arguments: list[str]) -> int:
    port, path = arguments
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=SECONDS)
    try:
        connection.request("GET", path)
        return 0 if connection.getresponse().status == http.HTTPStatus.OK else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
