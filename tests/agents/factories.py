"""Factories of agents, enrolled with real certificates."""

import base64
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from apps.agents import services
from apps.agents.models import Agent
from apps.authorization.actors import Actor
from tests.agents.csr import make_csr

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ACTOR = Actor.system("test")


def make_agent(name: str = "core", **fields: Any) -> Agent:
    return services.create_agent(name=name, actor=ACTOR, at=AT, **fields)


def issue_token(agent: Agent, at: datetime = AT) -> str:
    return services.issue_enroll_token(agent=agent, actor=ACTOR, at=at).text


def enroll(agent: Agent, at: datetime = AT, **fields: Any) -> services.IssuedCertificate:
    return services.enroll_agent(token=issue_token(agent, at), csr_pem=make_csr(), at=at, **fields)


def der_of(issued: services.IssuedCertificate) -> bytes:
    certificate = x509.load_pem_x509_certificate(issued.certificate_pem.encode())
    return certificate.public_bytes(serialization.Encoding.DER)


def sealing_key() -> tuple[X25519PrivateKey, str]:
    """A new key pair: the private key, and the public one in base64."""
    key = X25519PrivateKey.generate()
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return key, base64.b64encode(raw).decode()
