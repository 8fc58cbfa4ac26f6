"""The platform's processes on one machine."""

import http.client
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from ispvm.supervisor.environment import unprivileged
from ispvm.supervisor.paths import PROJECT
from ispvm.supervisor.ports import LOOPBACK
from ispvm.supervisor.processes import ProcessSpec

QUEUES = ("poll", "ingest", "evaluate", "incidents", "reports", "upkeep")
# Process groups with shared metric files; processes with a metrics listener of their own.
GROUPS = ("web", "ingest", "worker")
METRICS_LISTENERS = ("ingest", "worker", "worker-deliver", "beat", "keeper")
# Stages are stopped in descending order: callers before the processes they call.
INNER, LISTENERS, OUTSIDE, AGENTS = 1, 2, 3, 4
GUNICORN = (*(sys.executable, "-m", "gunicorn", "-c", "python:ispvm.deploy.gunicorn_web"),)


@dataclass(frozen=True)
class Platform:
    """Ports, folders and environment of the processes."""

    environment: Mapping[str, str]
    certificates: Path
    metrics_folder: Path
    web_port: int
    ingest_port: int
    # The first of five: ingest, worker, worker-deliver, beat, keeper. Web answers at /metrics.
    metrics_port: int

    def processes(self) -> list[ProcessSpec]:
        return [
            self.signer(),
            self.worker(),
            self.deliverer(),
            self.beat(),
            self.keeper(),
            self.web(),
            self.ingest(),
        ]

    def web(self) -> ProcessSpec:
        return self._process(
            "web",
            (*GUNICORN, "--bind", f"{LOOPBACK}:{self.web_port}", "ispvm.wsgi:application"),
            ready=partial(responds_http, self.web_port),
            stage=LISTENERS,
        )

    def ingest(self) -> ProcessSpec:
        command = (
            *(sys.executable, "-m", "gunicorn", "-c", "python:ispvm.deploy.gunicorn_ingest"),
            *("--certfile", str(self.certificates / "server.pem")),
            *("--keyfile", str(self.certificates / "server-key.pem")),
            *("--ca-certs", str(self.certificates / "ca.pem")),
            *("--bind", f"{LOOPBACK}:{self.ingest_port}", "ispvm.ingest_wsgi:application"),
        )
        ready = partial(listens, self.ingest_port)
        environment = unprivileged(self.environment)
        environment["ISPVM_INGEST_TLS_FOLDER"] = str(self.certificates)
        return self._process(
            "ingest", command, ready=ready, stage=LISTENERS, environment=environment
        )

    def worker(self) -> ProcessSpec:
        command = (
            *(sys.executable, "-m", "celery", "-A", "ispvm", "worker", "-Q", ",".join(QUEUES)),
            *("--concurrency", "3", "--hostname", "worker@ispvm"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        )
        ready = partial(celery_responds, self.environment["REDIS_URL"])
        return self._process("worker", command, ready=ready)

    def deliverer(self) -> ProcessSpec:
        """Worker of webhook deliveries and mail: separate threads, because it waits for external servers."""
        command = (
            *(sys.executable, "-m", "celery", "-A", "ispvm", "worker", "-Q", "deliver"),
            *("--pool", "threads", "--concurrency", "16", "--hostname", "worker-deliver@ispvm"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        )
        return self._process("worker-deliver", command)

    def beat(self) -> ProcessSpec:
        return self._process("beat", manage("beat"))

    def keeper(self) -> ProcessSpec:
        """The only process with the owner's database URL."""
        environment = unprivileged(self.environment)
        environment["DATABASE_OWNER_URL"] = self.environment["DATABASE_OWNER_URL"]
        return self._process("keeper", manage("keeper"), environment=environment)

    def signer(self) -> ProcessSpec:
        """The only process with the key of the agents' certificate authority."""
        environment = unprivileged(self.environment)
        environment["ISPVM_CA_KEY_FILE"] = self.environment["ISPVM_CA_KEY_FILE"]
        return self._process("signer", manage("signer"), environment=environment)

    def _metrics_variables(self, name: str) -> dict[str, str]:
        """Variables of the metric files and the metrics listener."""
        variables = {}
        if name in GROUPS:
            variables["PROMETHEUS_MULTIPROC_DIR"] = str(self.metrics_folder / name)
        if name in METRICS_LISTENERS:
            port = self.metrics_port + METRICS_LISTENERS.index(name)
            variables["ISPVM_METRICS_LISTEN"] = f"{LOOPBACK}:{port}"
        return variables

    def _process(
        self,
        name: str,
        argv: tuple[str, ...],
        *,
        ready: Callable[[], bool] | None = None,
        stage: int = INNER,
        environment: Mapping[str, str] | None = None,
    ) -> ProcessSpec:
        return ProcessSpec(
            name=name,
            argv=argv,
            env={
                **(environment or unprivileged(self.environment)),
                **self._metrics_variables(name),
            },
            cwd=PROJECT,
            ready=ready or (lambda: True),
            stage=stage,
        )


def manage(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "manage.py", *arguments)


def listens(port: int, host: str = LOOPBACK) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def responds_http(port: int, path: str = "/", host: str = LOOPBACK) -> bool:
    """Whether an HTTP server responds without a server error."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def celery_responds(broker: str) -> bool:
    """Whether a worker responds to a ping through this broker."""
    app = Celery(broker=broker, set_as_current=False)
    try:
        return bool(app.control.ping(timeout=0.5, limit=1))
    except (OSError, OperationalError, RedisError):
        return False
    finally:
        app.close()
