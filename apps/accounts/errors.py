"""Refusals of accounts."""

from apps.core.errors import Conflict, DomainError, Forbidden


class SignInRefused(DomainError):
    """The name or the password is wrong: which of the two is not said."""

    status = 401
    default_code = "sign_in_refused"


class TooManyAttempts(DomainError):
    """This name was tried too often from this address."""

    status = 429
    default_code = "too_many_attempts"


class VisitLeavesNothing(Forbidden):
    """A platform operator's visit creates nothing that gives access after its end."""

    default_code = "visit_leaves_nothing"


class LastAdmin(Conflict):
    """The tenant would be left without an admin."""

    default_code = "last_admin"


class AlreadyMember(Conflict):
    """This person belongs to the tenant already."""

    default_code = "already_member"


class CannotBeLimited(DomainError):
    """The role sees everything."""

    default_code = "cannot_be_limited"


class ScopeNotHeld(DomainError):
    """Nobody gives, by a token, a role or an invitation, what they may not do themselves."""

    default_code = "scope_not_held"


class AccessEnded(Conflict):
    """The caller's access ended while the request was processed."""

    default_code = "access_ended"


class InvitationUnusable(DomainError):
    """Unknown, expired, used, taken back or another tenant's: which of them is not said."""

    status = 404
    default_code = "invitation_unusable"


class TooManyInvitations(Conflict):
    """The tenant has invited as many people as it may at once."""

    default_code = "too_many_invitations"


class AddressNotProven(Forbidden):
    """Only who has shown that the address is theirs answers invitations that were sent to it."""

    default_code = "address_not_proven"


class ResetUnusable(DomainError):
    """Unknown, expired or used: which of them is not said."""

    status = 404
    default_code = "reset_unusable"


class InvitedSomebodyElse(Forbidden):
    """The invitation is for another person than the one who is signed in."""

    default_code = "invited_somebody_else"


class SignInFirst(Forbidden):
    """The invited person exists: only they themselves can accept."""

    default_code = "sign_in_first"


class NotPlatformOperator(Forbidden):
    """Only those who run the installation."""

    default_code = "not_platform_operator"


class NameTaken(Conflict):
    """Another row of this kind goes by that name."""

    default_code = "name_taken"


class TenantNotChosen(Forbidden):
    """The session is bound to no tenant that its person may work in now: they choose one."""

    default_code = "tenant_not_chosen"


class SecondFactorRequired(Forbidden):
    """The session was proven by one factor, where two are required."""

    default_code = "second_factor_required"


class FactorNeeded(Conflict):
    """The last second factor of a person who must have one."""

    default_code = "factor_needed"


class CodeRefused(DomainError):
    """The code is wrong, too old or was used before: which of them is not said."""

    default_code = "code_refused"


class PasskeyRefused(DomainError):
    """The browser's answer does not prove a passkey of this person."""

    default_code = "passkey_refused"


class IdentityRefused(DomainError):
    """What the identity provider said does not let this person in."""

    status = 401
    default_code = "identity_refused"


class IdentityTaken(Conflict):
    """This identity signs in somebody else."""

    default_code = "identity_taken"


class ProviderSession(Forbidden):
    """A tenant's identity provider opened this session: it changes nothing of how the person signs in."""

    default_code = "provider_session"


class MailDomainInvalid(DomainError):
    """Not a mail domain that a tenant could have."""

    default_code = "mail_domain_invalid"


class LastWayIn(Conflict):
    """Without it the person could not sign in any more."""

    default_code = "last_way_in"


class ProviderUnavailable(DomainError):
    """The identity provider does not answer as it should."""

    status = 502
    default_code = "provider_unavailable"


class ListRefused(DomainError):
    """A list cannot be looked at in this way."""

    default_code = "list_refused"


class SetupCodeRefused(Forbidden):
    """The setup code is wrong or expired."""

    default_code = "setup_code_refused"


class AlreadySetUp(Conflict):
    """The installation has its first people already, and they are others."""

    default_code = "already_set_up"
