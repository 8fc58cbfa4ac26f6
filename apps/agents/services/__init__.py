"""Writes of agents. Inside ``acting_in`` unless the name begins a connection (enroll, renew)."""

from apps.agents.errors import (
    AgentNameTaken,
    AgentRevoked,
    AuthorityInUse,
    AuthorityStageWrong,
    CertificateMissing,
    CertificateRefused,
    CertificateRequestRefused,
    SignerAway,
    TokenRefused,
    UnknownEntity,
)
from apps.agents.identity import AgentIdentity, authenticate_certificate
from apps.agents.services.authority import (
    Trust,
    authority_certificate,
    current_trust,
    ensure_authority,
)
from apps.agents.services.config import build_config, config_version
from apps.agents.services.enrollment import (
    Application,
    IssuedCertificate,
    IssuedToken,
    enroll_agent,
    issue_enroll_token,
    renew_certificate,
    revoke_agent,
)
from apps.agents.services.lifecycle import assign_agent, create_agent, delete_agent, update_agent
from apps.agents.services.listener import (
    ListenerFiles,
    refresh_listener_certificate,
    write_listener_certificate,
)
from apps.agents.services.logins import ReleasedLogins, approve_agent_host
from apps.agents.services.pulse import accept_discovery, note_conflict, record_heartbeat
from apps.agents.services.quarantine import Foreign, is_quarantining, quarantine_items
from apps.agents.services.rollover import (
    AuthorityStatus,
    authority_statuses,
    promote_authority,
    retire_authorities,
)
from apps.agents.services.signing import (
    apply_for_enrollment,
    apply_for_renewal,
    check_signer,
    forget_answered,
    now_and_again,
    sign_waiting,
    stage_authority,
)

__all__ = [
    "AgentIdentity",
    "AgentNameTaken",
    "AgentRevoked",
    "Application",
    "AuthorityInUse",
    "AuthorityStageWrong",
    "AuthorityStatus",
    "CertificateMissing",
    "CertificateRefused",
    "CertificateRequestRefused",
    "Foreign",
    "IssuedCertificate",
    "IssuedToken",
    "ListenerFiles",
    "ReleasedLogins",
    "SignerAway",
    "TokenRefused",
    "Trust",
    "UnknownEntity",
    "accept_discovery",
    "apply_for_enrollment",
    "apply_for_renewal",
    "approve_agent_host",
    "assign_agent",
    "authenticate_certificate",
    "authority_certificate",
    "authority_statuses",
    "build_config",
    "check_signer",
    "config_version",
    "create_agent",
    "current_trust",
    "delete_agent",
    "enroll_agent",
    "ensure_authority",
    "forget_answered",
    "is_quarantining",
    "issue_enroll_token",
    "note_conflict",
    "now_and_again",
    "promote_authority",
    "quarantine_items",
    "record_heartbeat",
    "refresh_listener_certificate",
    "renew_certificate",
    "retire_authorities",
    "revoke_agent",
    "sign_waiting",
    "stage_authority",
    "update_agent",
    "write_listener_certificate",
]
