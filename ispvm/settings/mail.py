"""Outgoing mail over SMTP; without a host the installation sends none."""

import os
from email.utils import parseaddr
from ipaddress import ip_address

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from ispvm.settings.env import Reader

env = Reader(os.environ)

EMAIL_HOST = env.text("ISPVM_SMTP_HOST").strip()
EMAIL_PORT = env.whole("ISPVM_SMTP_PORT", default=587)
EMAIL_HOST_USER = env.text("ISPVM_SMTP_USER")
EMAIL_HOST_PASSWORD = env.text("ISPVM_SMTP_PASSWORD")
_tls = env.choice("ISPVM_SMTP_TLS", ("starttls", "tls", "none"), "starttls")
EMAIL_USE_TLS, EMAIL_USE_SSL = _tls == "starttls", _tls == "tls"
ISPVM_SMTP_CA_FILE = env.bare("ISPVM_SMTP_CA_FILE")
ISPVM_MAIL_FROM = env.text("ISPVM_MAIL_FROM")
ISPVM_MAIL_CONFIGURED = bool(EMAIL_HOST)
# Per SMTP step: a message has several steps, and a task has 40 seconds.
EMAIL_TIMEOUT = 8
EMAIL_BACKEND = (
    "apps.mail.backend.SmtpBackend"
    if EMAIL_HOST
    else "django.core.mail.backends.dummy.EmailBackend"
)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if EMAIL_HOST:
    try:
        validate_email(parseaddr(ISPVM_MAIL_FROM)[1])
    except ValidationError:
        env.faults.append(
            "ISPVM_MAIL_FROM is not a mail address; it is required with ISPVM_SMTP_HOST."
        )
    if _tls == "none" and not _is_loopback(EMAIL_HOST):
        env.faults.append(
            "ISPVM_SMTP_TLS=none is allowed for a mail server on this host only: mails contain sign-in links."
        )
