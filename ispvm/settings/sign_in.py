"""Signing in: second factors, passkeys, identity providers."""

import os

from apps.accounts.oidc.config import Provider, ProvidersInvalid, read_providers
from ispvm.settings.env import Reader

env = Reader(os.environ)

ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"

# Lifetime of a password reset link.
PASSWORD_RESET_TIMEOUT = 3600

MFA_ADAPTER = "apps.vault.authenticators.SealedAuthenticators"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
# Codes of the previous and next time step are accepted: clocks of phones differ.
MFA_TOTP_TOLERANCE = 1
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "preferred"

SOCIALACCOUNT_ADAPTER = "apps.accounts.oidc.flow.GuardedSocialAccounts"
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False

ISPVM_OIDC_PROVIDERS: tuple[Provider, ...] = ()
try:
    ISPVM_OIDC_PROVIDERS = read_providers(env.text("ISPVM_OIDC_PROVIDERS"))
except ProvidersInvalid as _fault:
    env.faults.append(
        f"ISPVM_OIDC_PROVIDERS{_fault}"
        if str(_fault).startswith("[")
        else f"ISPVM_OIDC_PROVIDERS {_fault}"
    )
