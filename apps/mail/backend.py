"""Django's SMTP backend, with the operator's own certificate authority where one is set."""

import ssl
from contextlib import suppress
from smtplib import SMTPException

from django.conf import settings
from django.core.mail.backends.smtp import EmailBackend
from django.utils.functional import cached_property


class SmtpBackend(EmailBackend):
    """Checks the server's certificate and name, by the system's authorities or by ``ISPVM_SMTP_CA_FILE``."""

    def open(self) -> bool | None:
        """Without a connection left behind when the server refuses TLS or the login."""
        try:
            return super().open()
        except (SMTPException, OSError):
            with suppress(SMTPException, OSError):
                self.close()
            raise

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=settings.ISPVM_SMTP_CA_FILE or None)
