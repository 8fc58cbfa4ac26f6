from apps.accounts.models.invitations import Invitation, InvitationAddress
from apps.accounts.models.lists import ListSetting
from apps.accounts.models.platform import BreakGlass, PlatformOperator
from apps.accounts.models.setup import Setup
from apps.accounts.models.sign_in import (
    KnownBrowser,
    MailDomain,
    OpenSession,
    PasskeyCredential,
    SignInPolicy,
)
from apps.accounts.models.users import ApiToken, Membership, User, UserManager

__all__ = [
    "ApiToken",
    "BreakGlass",
    "Invitation",
    "InvitationAddress",
    "KnownBrowser",
    "ListSetting",
    "MailDomain",
    "Membership",
    "OpenSession",
    "PasskeyCredential",
    "PlatformOperator",
    "Setup",
    "SignInPolicy",
    "User",
    "UserManager",
]
