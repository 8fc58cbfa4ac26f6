"""What agents are told when they are refused. Codes are part of the ingest contract."""

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
    """A certificate that opens nothing: ``certificate_unknown``, ``_expired``, ``_not_yet_valid``, ``_revoked``,
    ``_wrong_purpose``."""

    default_code = "certificate_refused"


class CertificatesUnreadable(DomainError):
    """Nobody can say now whether a certificate was revoked: closed, not open. Worth trying again."""

    status = 503
    default_code = "certificates_unreadable"


class SignerAway(DomainError):
    """The signer does not answer; nothing was signed and the token is unused. Worth trying again."""

    status = 503
    default_code = "signer_away"


class RenewedTooOften(DomainError):
    """This agent had many certificates today: its clock or its disk is at fault."""

    status = 429
    default_code = "renewed_too_often"


class SigningRefused(DomainError):
    """The signer's no, with the code and status that it gave."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(code, message)
        self.status = status


class AuthorityStageWrong(Conflict):
    """The rollover is not at this step: ``no_next_authority``, ``next_authority_exists``, ``no_old_authority``."""

    default_code = "no_next_authority"


class AuthorityInUse(Conflict):
    """Some agents would be cut off; ``context`` lists them."""

    default_code = "authority_in_use"


class TokenRefused(Forbidden):
    """Unknown, used, expired, another tenant's, or mistyped: the asker is not told which."""

    default_code = "token_refused"

    def __init__(self) -> None:
        super().__init__(
            message="The enrollment token is not valid. Tokens work once, for ten minutes; ask for a new one."
        )


class AgentRevoked(Conflict):
    """A revoked agent does not come back: make a new one."""

    default_code = "agent_revoked"


class AgentNameTaken(Conflict):
    """Another agent of this tenant goes by that name."""

    default_code = "name_taken"


class UnknownEntity(DomainError):
    """An assignment names what is not there (or is another tenant's)."""

    default_code = "unknown_entity"


__all__ = [
    "AgentNameTaken",
    "AgentRevoked",
    "AuthorityInUse",
    "AuthorityStageWrong",
    "CertificateMissing",
    "CertificateRefused",
    "CertificateRequestRefused",
    "CertificatesUnreadable",
    "NotVisible",
    "RenewedTooOften",
    "SignerAway",
    "SigningRefused",
    "TokenRefused",
    "UnknownEntity",
]
