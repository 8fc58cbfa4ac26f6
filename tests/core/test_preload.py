"""Each server process loads what its requests need before it has threads."""

import os
import subprocess
import sys

import pytest

from ispvm.supervisor.paths import PROJECT
from tests.database import url_of_this_test

#: Loads a WSGI module, answers requests of its kind, and prints what was imported for them.
REQUESTS = """
import importlib, io, sys
application = importlib.import_module(sys.argv[1]).application
before = set(sys.modules)
for line in sys.argv[2:]:
    method, path, body = line.split(" ", 2)
    answers = []
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80",
        "HTTP_HOST": "127.0.0.1", "REMOTE_ADDR": "127.0.0.1", "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json", "wsgi.input": io.BytesIO(body.encode()),
        "wsgi.url_scheme": "https", "wsgi.errors": sys.stderr,
    }
    b"".join(application(environ, lambda status, *_: answers.append(status)))
    print("answered", path, answers[0])
late = set(sys.modules) - before
native = [n for n in late if (getattr(sys.modules[n], "__file__", "") or "").endswith(".so")]
print("late", sorted(native + [n for n in late if n.startswith(("encodings.", "apps.", "agent."))]))
"""


@pytest.mark.real
@pytest.mark.parametrize(
    ("module", "requests"),
    [
        (
            "ispvm.ingest_wsgi",
            [
                "GET /livez ",
                "GET /ingest/v1/ca ",
                "POST /ingest/v1/batch {}",
                'POST /ingest/v1/enroll {"token": "x"}',
            ],
        ),
        ("ispvm.wsgi", ["GET /livez ", "GET /readyz ", "GET /sign-in/ ", "GET /api/v1/me/ "]),
    ],
)
def test_no_codec_extension_or_view_is_imported_by_a_request(
    transactional_db, tmp_path, module, requests
):
    loaded = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "PROMETHEUS_"))}
    if module == "ispvm.ingest_wsgi":
        loaded.pop("ISPVM_CA_KEY_FILE", None)

    done = subprocess.run(
        [sys.executable, "-c", REQUESTS, module, *requests],
        check=False,
        cwd=PROJECT,
        env={**loaded, "DATABASE_URL": url_of_this_test(), "ISPVM_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("answered") == len(requests)
    assert "late []" in done.stdout
