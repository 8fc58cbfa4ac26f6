"""gunicorn's configuration for the ingest listener: TLS with client certificates, decided in the app.

The handshake checks a certificate's chain against our CA and asks for one without requiring it,
because `enroll` has none. It does not check the certificate's time, because renewal accepts an
expired one for a while. Time, purpose, serial and revocation are checked by the app per request.
"""

import ssl
from collections.abc import Callable
from typing import Any

from ispvm.deploy.gunicorn_group import *
from ispvm.deploy.gunicorn_group import attend_to_agents, listen_for_scrapes

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL 1.1+; Python's ssl module has no name for it.
NO_CHECK_TIME = 0x200000

worker_class = "ispvm.deploy.ingest_server.worker.IngestWorker"
keepalive = 75
# Agents get no other page here: the numbers have a port of their own.
when_ready = listen_for_scrapes
post_worker_init = attend_to_agents


def ssl_context(
    _config: Any, default_ssl_context_factory: Callable[[], ssl.SSLContext]
) -> ssl.SSLContext:
    context = default_ssl_context_factory()
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= NO_CHECK_TIME
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
