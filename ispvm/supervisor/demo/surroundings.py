"""What surrounds the platform in the demo: a simulated ISP, its agents, a webhook receiver."""

import json
import socket
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ispvm.supervisor.environment import foreign_environment
from ispvm.supervisor.errors import LaunchError
from ispvm.supervisor.paths import PROJECT
from ispvm.supervisor.platform import AGENTS, OUTSIDE, listens, responds_http
from ispvm.supervisor.ports import LOOPBACK, free_port, is_free, require_free
from ispvm.supervisor.processes import ProcessSpec

DEFAULT_SEED = 1
DEFAULT_PORT = 8000
RELAY_HOST = "127.40.0.1"
ROUTERS = tuple(f"127.20.0.{number}" for number in range(1, 14))
API_PORT = 8728
ECHO_PORT = 7007


@dataclass(frozen=True)
class Ports:
    """The demo's ports, counted from the one given with --port."""

    web: int

    @property
    def ingest(self) -> int:
        return self.web + 1

    @property
    def control(self) -> int:
        return self.web + 2

    @property
    def receiver(self) -> int:
        return self.web + 3

    @property
    def relay(self) -> int:
        return self.web + 4

    @property
    def metrics(self) -> int:
        """The first of five."""
        return self.web + 5

    def require_free(self) -> None:
        """Raises LaunchError, naming the first port that is in use."""
        remedy = "end what uses it or choose others with --port"
        require_free(self.web, purpose="web", remedy=remedy)
        require_free(self.ingest, purpose="ingest", remedy=remedy)
        require_free(self.control, purpose="simulator", remedy=remedy)
        require_free(self.receiver, purpose="webhook receiver", remedy=remedy)
        for port in range(self.metrics, self.metrics + 5):
            require_free(port, purpose="metrics", remedy=remedy)
        require_free(self.relay, purpose="relay", remedy=remedy, host=RELAY_HOST)


@dataclass(frozen=True)
class Identity:
    """What the demo's data depends on: the seed gives the network, the port gives the addresses."""

    seed: int
    port: int

    @staticmethod
    def resolve(folder: Path, *, seed: int | None, port: int | None) -> "Identity":
        """The requested identity: that of existing data, else the default.

        Raises LaunchError if there is data of another identity.
        """
        try:
            found = Identity(**read_json(folder / "identity.json"))
        except FileNotFoundError:
            return Identity(
                DEFAULT_SEED if seed is None else seed, DEFAULT_PORT if port is None else port
            )
        wanted = Identity(
            found.seed if seed is None else seed, found.port if port is None else port
        )
        if wanted != found:
            raise LaunchError(
                f"The demo in {folder.parent} has seed {found.seed} and port {found.port}; "
                "add --reset to start anew, or choose another data folder with ISPVM_HOME."
            )
        return found


@dataclass(frozen=True)
class DemoPlan:
    """Settings of `demo_provision` and `demo_check`, written to demo.json."""

    seed: int
    web_url: str
    ingest_url: str
    control_url: str
    receiver_url: str
    receiver_log: str
    webhook_secret_file: str
    agents_file: str
    credentials_file: str
    phase_file: str


@dataclass(frozen=True)
class Agent:
    """One agent to run, as `demo_provision` lists it in agents.json."""

    name: str
    token_file: Path
    source_address: str
    state_dir: Path

    @property
    def process_name(self) -> str:
        return self.name if self.name.startswith("agent-") else f"agent-{self.name}"

    @property
    def enrolled(self) -> Path:
        return self.state_dir / "enrolled-by-demo"


class Surroundings:
    """The demo's folder and the processes around the platform."""

    def __init__(self, folder: Path, identity: Identity) -> None:
        self.folder = folder
        self.identity = identity
        self.ports = Ports(identity.port)

    def prepare(self) -> DemoPlan:
        """Create the folder and write the plan. Data of an earlier run is reused."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        write_json(self.folder / "identity.json", asdict(self.identity))
        plan = DemoPlan(
            seed=self.identity.seed,
            web_url=f"http://{LOOPBACK}:{self.ports.web}",
            ingest_url=f"https://{RELAY_HOST}:{self.ports.relay}",
            control_url=f"http://{LOOPBACK}:{self.ports.control}",
            receiver_url=f"http://{LOOPBACK}:{self.ports.receiver}/hook",
            receiver_log=str(self.folder / "receiver.jsonl"),
            webhook_secret_file=str(self.folder / "webhook.secret"),
            agents_file=str(self.folder / "agents.json"),
            credentials_file=str(self.folder / "credentials.json"),
            phase_file=str(self.folder / "phase.json"),
        )
        write_json(self.folder / "demo.json", asdict(plan))
        Path(plan.phase_file).unlink(missing_ok=True)
        (self.folder / "halted.json").unlink(missing_ok=True)
        return plan

    def simulator(self) -> ProcessSpec:
        api, echo = self._router_ports()
        command = (
            *(sys.executable, "-m", "agent.simulator", "serve", "--seed", str(self.identity.seed)),
            *("--state-dir", str(self.folder / "simulator")),
            *("--control", f"{LOOPBACK}:{self.ports.control}"),
            *("--relay-listen", f"{RELAY_HOST}:{self.ports.relay}"),
            *("--relay-to", f"{LOOPBACK}:{self.ports.ingest}"),
            *("--api-port", str(api), "--echo-port", str(echo)),
        )
        ready = partial(responds_http, self.ports.control, "/topology")
        return self._process("simulator", command, ready=ready)

    def receiver(self, plan: DemoPlan) -> ProcessSpec:
        command = (
            *(sys.executable, "-m", "apps.webhooks.receiver"),
            *("--listen", f"{LOOPBACK}:{self.ports.receiver}"),
            *("--secret-file", plan.webhook_secret_file, "--log", plan.receiver_log),
        )
        ready = partial(listens, self.ports.receiver)
        return self._process("receiver", command, ready=ready)

    def agents(self, plan: DemoPlan) -> list[Agent]:
        return [
            Agent(
                name=entry["name"],
                token_file=Path(entry["token_file"]),
                source_address=entry["source_address"],
                state_dir=Path(entry["state_dir"]),
            )
            for entry in read_json(Path(plan.agents_file))
        ]

    def enrollment(self, agent: Agent) -> ProcessSpec:
        command = (
            *(sys.executable, "-m", "agent", "enroll"),
            *("--token", agent.token_file.read_text(encoding="utf-8").strip()),
            *("--state-dir", str(agent.state_dir), "--source-address", agent.source_address),
        )
        return self._process(f"enroll-{agent.name}", command, restart=False)

    def agent(self, agent: Agent) -> ProcessSpec:
        command = (
            *(sys.executable, "-m", "agent", "run", "--state-dir", str(agent.state_dir)),
            *("--source-address", agent.source_address),
        )
        return self._process(agent.process_name, command, stage=AGENTS)

    def halted(self) -> set[str]:
        """Processes that a story has halted."""
        try:
            return set(read_json(self.folder / "halted.json"))
        except (FileNotFoundError, json.JSONDecodeError):
            return set()

    def _router_ports(self) -> tuple[int, int]:
        """Ports of the simulated routers' API and echo: the defaults unless they are in use.

        Stored while they are free: the inventory has them too.
        """
        file = self.folder / "router-ports.json"
        known = read_json(file) if file.exists() else {"api": API_PORT, "echo": ECHO_PORT}
        if not all(is_free(known["api"], host) for host in ROUTERS):
            known["api"] = free_port(ROUTERS[0])
        if not all(udp_is_free(known["echo"], host) for host in ROUTERS):
            known["echo"] = free_port(ROUTERS[0])
        write_json(file, known)
        return known["api"], known["echo"]

    def _process(self, name: str, argv: tuple[str, ...], **more: Any) -> ProcessSpec:
        more.setdefault("stage", OUTSIDE)
        return ProcessSpec(name=name, argv=argv, env=foreign_environment(), cwd=PROJECT, **more)


def udp_is_free(port: int, host: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
