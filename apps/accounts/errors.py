"""Errors of accounts."""

from apps.core.errors import Conflict, DomainError, Forbidden


class SignInRefused(DomainError):
    """The login name or the password is wrong."""

    status = 401
    default_code = "sign_in_refused"


class TooManyAttempts(DomainError):
    """Too many attempts for this name, network or browser."""

    status = 429
    default_code = "too_many_attempts"


class StandingAccessRefused(Forbidden):
    """Platform operators cannot create anything that keeps access after their access session ends."""

    default_code = "access_session_restricted"


class LastAdmin(Conflict):
    """The tenant would be left without an admin."""

    default_code = "last_admin"


class AlreadyMember(Conflict):
    """This user is already a member of the tenant."""

    default_code = "already_member"


class CannotBeLimited(DomainError):
    """Admins cannot be limited."""

    default_code = "cannot_be_limited"


class ScopeNotHeld(DomainError):
    """A token, role or invitation must not grant permissions that the caller lacks."""

    default_code = "scope_not_held"


class AccessEnded(Conflict):
    """The caller's access ended while the request was processed."""

    default_code = "access_ended"


class InvitationUnusable(DomainError):
    """The invitation is unknown, expired, used, revoked or another tenant's."""

    status = 404
    default_code = "invitation_unusable"


class TooManyInvitations(Conflict):
    """A limit on invitations of the tenant is reached."""

    default_code = "too_many_invitations"


class AddressNotVerified(Forbidden):
    """The address of the account is not verified."""

    default_code = "address_not_verified"


class ResetUnusable(DomainError):
    """The reset link is unknown, expired or used."""

    status = 404
    default_code = "reset_unusable"


class InvitationForAnotherAddress(Forbidden):
    """The invitation is for another address than that of the signed-in user."""

    default_code = "invitation_for_other_address"


class SignInFirst(Forbidden):
    """The invited address has an account: its user must sign in to accept."""

    default_code = "sign_in_first"


class NotPlatformOperator(Forbidden):
    """Only platform operators."""

    default_code = "not_platform_operator"


class NameTaken(Conflict):
    """The name is already in use."""

    default_code = "name_taken"


class TenantNotChosen(Forbidden):
    """The session has no tenant that the user is a member of; one must be chosen."""

    default_code = "tenant_not_chosen"


class SecondFactorRequired(Forbidden):
    """The session needs a second factor."""

    default_code = "second_factor_required"


class FactorNeeded(Conflict):
    """The last second factor cannot be removed: the user is required to have one."""

    default_code = "factor_needed"


class CodeRefused(DomainError):
    """The code is wrong, expired or already used."""

    default_code = "code_refused"


class PasskeyRefused(DomainError):
    """The browser's response is not valid for a passkey of this user."""

    default_code = "passkey_refused"


class IdentityRefused(DomainError):
    """The identity provider's response does not sign this user in."""

    status = 401
    default_code = "identity_refused"


class IdentityTaken(Conflict):
    """The identity is linked to another user."""

    default_code = "identity_taken"


class ProviderSession(Forbidden):
    """Sign-in methods cannot be changed in a session opened by a tenant's identity provider."""

    default_code = "provider_session"


class MailDomainInvalid(DomainError):
    """The mail domain is not valid."""

    default_code = "mail_domain_invalid"


class LastSignInMethod(Conflict):
    """The last sign-in method of the user cannot be removed."""

    default_code = "last_sign_in_method"


class ProviderUnavailable(DomainError):
    """The identity provider is unavailable or sent an invalid response."""

    status = 502
    default_code = "provider_unavailable"


class ListRefused(DomainError):
    """The list settings are not valid."""

    default_code = "list_refused"


class SetupCodeRefused(Forbidden):
    """The setup code is wrong or expired."""

    default_code = "setup_code_refused"


class AlreadySetUp(Conflict):
    """The installation already has other users."""

    default_code = "already_set_up"
