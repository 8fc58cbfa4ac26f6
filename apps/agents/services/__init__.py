"""Writes of agents. Inside ``acting_in`` unless the name begins a connection (enroll, renew)."""

from apps.agents.errors import (
    AgentNameTaken,
    AgentRevoked,
    CertificateMissing,
    CertificateRefused,
    CertificateRequestRefused,
    TokenRefused,
    UnknownEntity,
)
from apps.agents.identity import AgentIdentity, authenticate_certificate
from apps.agents.services.authority import authority_certificate, ensure_authority
from apps.agents.services.config import build_config, config_version
from apps.agents.services.enrollment import (
    IssuedCertificate,
    IssuedToken,
    enroll_agent,
    issue_enroll_token,
    renew_certificate,
    revoke_agent,
)
from apps.agents.services.lifecycle import assign_agent, create_agent, delete_agent, update_agent
from apps.agents.services.listener import ListenerFiles, write_listener_certificate
from apps.agents.services.pulse import accept_discovery, record_heartbeat

__all__ = [
    "AgentIdentity",
    "AgentNameTaken",
    "AgentRevoked",
    "CertificateMissing",
    "CertificateRefused",
    "CertificateRequestRefused",
    "IssuedCertificate",
    "IssuedToken",
    "ListenerFiles",
    "TokenRefused",
    "UnknownEntity",
    "accept_discovery",
    "assign_agent",
    "authenticate_certificate",
    "authority_certificate",
    "build_config",
    "config_version",
    "create_agent",
    "delete_agent",
    "enroll_agent",
    "ensure_authority",
    "issue_enroll_token",
    "record_heartbeat",
    "renew_certificate",
    "revoke_agent",
    "update_agent",
    "write_listener_certificate",
]
