"""An enrolled agent that calls the ingest views as gunicorn passes its requests on."""

import gzip
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client

from agent.protocol.tokens import parse_token
from apps.agents import services as agents
from apps.authorization.actors import Actor
from apps.core import clock
from apps.tenancy import acting_in
from tests.inventory.factories import make_device

ACTOR = Actor.system("test")


class PeerSocket:
    """Stands for gunicorn's TLS socket in the WSGI environment, with the peer's certificate."""

    def __init__(self, der: bytes | None) -> None:
        self.der = der

    def getpeercert(self, binary: bool) -> bytes | None:
        assert binary
        return self.der


def make_csr(key: ec.EllipticCurvePrivateKey | None = None) -> str:
    key = key or ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "anything")])
    )
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class AgentClient:
    """Builds batches and posts them over its certificate."""

    tenant_id: UUID
    agent_id: UUID
    device_id: UUID
    der: bytes | None
    boot_id: UUID = field(default_factory=uuid4)
    http: Client = field(default_factory=Client)

    def batch(self, sequence: int = 1, **fields: Any) -> dict[str, Any]:
        return {
            "schema_version": "1.0",
            "batch_id": str(uuid4()),
            "boot_id": str(self.boot_id),
            "sequence": sequence,
            "sent_at": clock.now().isoformat(),
            "agent": {"id": str(self.agent_id), "version": "1", "capabilities": []},
            "metrics": [],
            "events": [],
            **fields,
        }

    def metric(
        self, value: Any = 12.5, at: datetime | None = None, **fields: Any
    ) -> dict[str, Any]:
        key = "value_text" if isinstance(value, str) else "value_num"
        return {
            "ts": (at or clock.now()).isoformat(),
            "metric_name": "device.cpu_pct",
            "entity_type": "device",
            "entity_id": str(self.device_id),
            key: value,
            **fields,
        }

    def event(self, **fields: Any) -> dict[str, Any]:
        return {
            "id": str(uuid4()),
            "ts": clock.now().isoformat(),
            "event_type": "device.rebooted",
            "severity": "warn",
            "entity_type": "device",
            "entity_id": str(self.device_id),
            "payload": {"old": 1, "new": 2},
            **fields,
        }

    def post(self, path: str, body: dict[str, Any] | bytes, **extra: Any) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        content_type = extra.pop("content_type", "application/json")
        extra |= {"gunicorn.socket": PeerSocket(self.der), "CONTENT_TYPE": content_type}
        return self.http.post(f"/ingest/v1/{path}", raw, content_type, **extra)

    def get(self, path: str, **extra: Any) -> Any:
        return self.http.get(
            f"/ingest/v1/{path}", **extra, **{"gunicorn.socket": PeerSocket(self.der)}
        )

    def send(self, *metrics: dict[str, Any], sequence: int = 1, **fields: Any) -> Any:
        return self.post("batch", self.batch(sequence, metrics=list(metrics), **fields))


def gzipped(body: dict[str, Any]) -> bytes:
    return gzip.compress(json.dumps(body).encode())


def enroll(tenant, name: str = "pop-1") -> AgentClient:
    """An agent of this tenant that polls one device."""
    at = clock.now()
    with acting_in(tenant):
        device = make_device(f"cr-{name}")
        agent = agents.create_agent(name=name, actor=ACTOR, at=at)
        agents.assign_agent(agent=agent, device_ids=[device.id], actor=ACTOR, at=at)
        token = agents.issue_enroll_token(agent=agent, actor=ACTOR, at=at)
    issued = agents.enroll_agent(
        token=parse_token(token.text).secret, csr_pem=make_csr(), at=clock.now()
    )
    certificate = x509.load_pem_x509_certificate(issued.certificate_pem.encode())
    return AgentClient(
        tenant.id, agent.id, device.id, certificate.public_bytes(serialization.Encoding.DER)
    )
