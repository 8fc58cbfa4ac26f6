"""The ingest listener: its own URLs, no sessions, no cookies, no pages."""

from ispvm.settings.server import *

ROOT_URLCONF = "ispvm.ingest_urls"
WSGI_APPLICATION = "ispvm.ingest_wsgi.application"
MIDDLEWARE = ["apps.core.requests.AgentRequestIdMiddleware"]
ALLOWED_HOSTS = ["*"]  # identity is the client certificate; the Host header decides nothing here
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # apps.ingest bounds bodies itself, while they stream
