"""Members, API tokens and sign-in policy in the admin."""

from apps.accounts.admin.members import ApiTokenAdmin, MembershipAdmin
from apps.accounts.admin.sign_in import MailDomainAdmin, SignInPolicyAdmin

__all__ = ["ApiTokenAdmin", "MailDomainAdmin", "MembershipAdmin", "SignInPolicyAdmin"]
