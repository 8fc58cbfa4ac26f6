"""Writes of agents. All need ``acting_in`` except enrollment and renewal, which set it themselves."""

from apps.agents.errors import (
    AgentNameTaken,
    AgentRevoked,
    AuthorityInUse,
    AuthorityStageWrong,
    CertificateMissing,
    CertificateRefused,
    CertificateRequestRefused,
    SignerUnavailable,
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
from apps.agents.services.credentials import (
    ApprovedCredentials,
    approve_agent_host,
    login_document,
    sealed_secrets,
)
from apps.agents.services.enrollment import (
    EnrollmentRequest,
    IssuedCertificate,
    IssuedToken,
    enroll_agent,
    issue_enroll_token,
    renew_certificate,
    revoke_agent,
)
from apps.agents.services.heartbeats import apply_agent_discovery, record_conflict, record_heartbeat
from apps.agents.services.lifecycle import assign_agent, create_agent, delete_agent, update_agent
from apps.agents.services.listener import (
    ListenerFiles,
    refresh_listener_certificate,
    write_listener_certificate,
)
from apps.agents.services.quarantine import UnassignedItem, is_quarantining, quarantine_items
from apps.agents.services.rollover import (
    AuthorityStatus,
    authority_statuses,
    promote_authority,
    retire_authorities,
)
from apps.agents.services.signing import (
    check_signer,
    delete_old_requests,
    process_pending_requests,
    request_enrollment,
    request_renewal,
    run_signer,
    stage_authority,
)

__all__ = [
    "AgentIdentity",
    "AgentNameTaken",
    "AgentRevoked",
    "ApprovedCredentials",
    "AuthorityInUse",
    "AuthorityStageWrong",
    "AuthorityStatus",
    "CertificateMissing",
    "CertificateRefused",
    "CertificateRequestRefused",
    "EnrollmentRequest",
    "IssuedCertificate",
    "IssuedToken",
    "ListenerFiles",
    "SignerUnavailable",
    "TokenRefused",
    "Trust",
    "UnassignedItem",
    "UnknownEntity",
    "apply_agent_discovery",
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
    "delete_old_requests",
    "enroll_agent",
    "ensure_authority",
    "is_quarantining",
    "issue_enroll_token",
    "login_document",
    "process_pending_requests",
    "promote_authority",
    "quarantine_items",
    "record_conflict",
    "record_heartbeat",
    "refresh_listener_certificate",
    "renew_certificate",
    "request_enrollment",
    "request_renewal",
    "retire_authorities",
    "revoke_agent",
    "run_signer",
    "sealed_secrets",
    "stage_authority",
    "update_agent",
    "write_listener_certificate",
]
