"""gunicorn's configuration for the ingest listener: TLS with client certificates, authorized in the app.

The handshake requests a certificate and verifies its chain against our CA, but does not require one,
because `enroll` has none. It ignores the validity period, because renewal accepts expired certificates
for a while. Validity, purpose, serial and revocation are checked by the app per request.
"""

import ssl
from collections.abc import Callable
from typing import Any

from ispvm.deploy.gunicorn_group import *
from ispvm.deploy.gunicorn_group import serve_group_metrics, start_ingest_worker

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL 1.1+; Python's ssl module has no name for it.
NO_CHECK_TIME = 0x200000

worker_class = "ispvm.deploy.ingest_server.worker.IngestWorker"
keepalive = 75
# This listener serves agents only: metrics have a port of their own.
when_ready = serve_group_metrics
post_worker_init = start_ingest_worker


def ssl_context(
    _config: Any, default_ssl_context_factory: Callable[[], ssl.SSLContext]
) -> ssl.SSLContext:
    context = default_ssl_context_factory()
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= NO_CHECK_TIME
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
