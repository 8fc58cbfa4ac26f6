"""The ISP admin's cabinet: Django's admin, inside one tenant, ruled by our role table.

Apps register their rows with ``cabinet`` in their own ``admin`` module, on ``TenantAdmin``.
"""

from apps.accounts.admin.base import CabinetForm, TenantAdmin
from apps.accounts.admin.log import RecordAdmin
from apps.accounts.admin.people import ApiTokenAdmin, MembershipAdmin
from apps.accounts.admin.sign_in import MailDomainAdmin, SignInPolicyAdmin
from apps.accounts.admin.site import cabinet

__all__ = [
    "ApiTokenAdmin",
    "CabinetForm",
    "MailDomainAdmin",
    "MembershipAdmin",
    "RecordAdmin",
    "SignInPolicyAdmin",
    "TenantAdmin",
    "cabinet",
]
