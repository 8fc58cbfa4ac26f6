"""Errors of the agents API. Codes are part of the ingest contract."""

from apps.core.errors import Conflict, DomainError, Forbidden, NotVisible


class CertificateRequestRefused(DomainError):
    """The CSR cannot be signed: ``csr_too_large``, ``csr_unreadable``, ``csr_bad_signature``, ``csr_weak_key``."""

    status = 400
    default_code = "csr_unreadable"


class CertificateMissing(DomainError):
    """No client certificate, or one that cannot be read."""

    status = 401
    default_code = "certificate_missing"


class CertificateRefused(Forbidden):
    """A certificate that is not accepted: ``certificate_unknown``, ``_expired``, ``_not_yet_valid``, ``_revoked``,
    ``_wrong_purpose``."""

    default_code = "certificate_refused"


class CertificateLookupFailed(DomainError):
    """The revocation status of a certificate cannot be checked: the request is refused. Retry later."""

    status = 503
    default_code = "revocation_unavailable"


class SignerUnavailable(DomainError):
    """The signer does not answer; nothing was signed and the token is unused. Retry later."""

    status = 503
    default_code = "signer_unavailable"


class TooManyRenewals(DomainError):
    """Too many certificates were issued to this agent today: check its clock and disk."""

    status = 429
    default_code = "renewal_rate_exceeded"


class SigningRefused(DomainError):
    """The signer refused the request; code and status are the signer's."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(code, message)
        self.status = status


class AuthorityStageWrong(Conflict):
    """The rollover step is out of order: ``no_next_authority``, ``next_authority_exists``, ``no_old_authority``."""

    default_code = "no_next_authority"


class AuthorityInUse(Conflict):
    """Some agents would lose access; ``context`` lists them."""

    default_code = "authority_in_use"


class TokenRefused(Forbidden):
    """Unknown, used, expired, another tenant's, or mistyped: the response does not say which."""

    default_code = "token_refused"

    def __init__(self) -> None:
        super().__init__(
            message="The enrollment token is not valid. Tokens work once, within ten minutes; issue a new one."
        )


class AgentRevoked(Conflict):
    """A revoked agent cannot be enrolled again: create a new one."""

    default_code = "agent_revoked"


class AgentNameTaken(Conflict):
    """Another agent of this tenant has that name."""

    default_code = "name_taken"


class UnknownEntity(DomainError):
    """An assignment names an entity that does not exist in this tenant."""

    default_code = "unknown_entity"


__all__ = [
    "AgentNameTaken",
    "AgentRevoked",
    "AuthorityInUse",
    "AuthorityStageWrong",
    "CertificateLookupFailed",
    "CertificateMissing",
    "CertificateRefused",
    "CertificateRequestRefused",
    "NotVisible",
    "SignerUnavailable",
    "SigningRefused",
    "TokenRefused",
    "TooManyRenewals",
    "UnknownEntity",
]
