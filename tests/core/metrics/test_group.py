"""A real gunicorn with our settings: its workers count together, and a killed one is not forgotten."""

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.core.metrics.test_metrics import values
from tests.database import url_of_this_test
from tests.slots import free_port
from tests.supervisor.waiting import eventually

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]

PROJECT = Path(__file__).parents[3]
LIVEZ = "django_http_requests_latency_seconds_by_view_method_count|GET|livez"


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=300) as answer:
        return answer.read()


def is_up(url: str) -> bool:
    try:
        get(url)
    except OSError:
        return False
    return True


def workers_of(master: int) -> list[int]:
    text = Path(f"/proc/{master}/task/{master}/children").read_text()
    return [int(word) for word in text.split()]


def test_sums_survive_the_kill_of_every_worker(tmp_path):
    port = free_port()
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "counter_1.db").write_bytes(b"left by a former run")
    environment = {
        **{k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"},
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "ispvm.settings.test",
        "DATABASE_URL": url_of_this_test(),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:ispvm.deploy.gunicorn_web"]
    server = subprocess.Popen(
        [*command, "--bind", f"127.0.0.1:{port}", "ispvm.wsgi:application"],
        cwd=PROJECT,
        env=environment,
        start_new_session=True,
    )
    base = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: is_up(f"{base}/livez"))
        for _ in range(20):
            get(f"{base}/livez")
        before = values(get(f"{base}/metrics"))[LIVEZ]
        assert before >= 20

        old = workers_of(server.pid)
        assert len(old) == 2
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        eventually(
            lambda: not set(old) & set(workers_of(server.pid)) and is_up(f"{base}/metrics"),
        )
        eventually(
            lambda: (
                not any(
                    path.stem.endswith(f"_{pid}") for path in folder.glob("*.db") for pid in old
                )
            )
        )

        assert values(get(f"{base}/metrics"))[LIVEZ] >= before
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=300)
