"""Keys, cookies, passwords, content security policy, egress."""

import os

from csp.constants import NONE, SELF

from ispvm.settings.env import Reader

env = Reader(os.environ)

SECRET_KEY = env.required("ISPVM_SECRET_KEY")
# Paths only: the vault reads the keys where it needs them.
ISPVM_MASTER_KEY_FILE = env.bare("ISPVM_MASTER_KEY_FILE")
ISPVM_MASTER_KEY = env.bare("ISPVM_MASTER_KEY")
if not (ISPVM_MASTER_KEY_FILE or ISPVM_MASTER_KEY):
    env.faults.append("ISPVM_MASTER_KEY_FILE is not set.")
ISPVM_MASTER_KEY_PREVIOUS_FILE = env.bare("ISPVM_MASTER_KEY_PREVIOUS_FILE")
ISPVM_EGRESS_ALLOW = env.egress("ISPVM_EGRESS_ALLOW")
# Per API token; the burst is a quarter of it.
ISPVM_TOKEN_REQUESTS_PER_MINUTE = env.whole("ISPVM_TOKEN_REQUESTS_PER_MINUTE", default=6000)
ISPVM_TRUSTED_PROXIES = env.networks("ISPVM_TRUSTED_PROXIES")
ALLOWED_HOSTS = [h for h in env.text("ISPVM_ALLOWED_HOSTS", "127.0.0.1,localhost").split(",") if h]

PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]

# Object grants (django-guardian). Permissions are checked through ``Access`` only: no backend implements ``has_perm``,
# there is no anonymous user, and users and groups are not patched.
ANONYMOUS_USER_NAME = None
GUARDIAN_MONKEY_PATCH_USER = False
GUARDIAN_MONKEY_PATCH_GROUP = False
SILENCED_SYSTEM_CHECKS = [
    "guardian.W001",
    # Other hosts of the operator's domain are theirs to move to HTTPS: no includeSubDomains, no preload list.
    "security.W005",
    "security.W021",
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

_https = env.text("ISPVM_PUBLIC_URL", "http://127.0.0.1:8000").startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _https
# Requested from this host or the operator's network, never through the proxy.
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_ENGINE = "apps.accounts.session_store"
SESSION_COOKIE_AGE = 12 * 3600
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
