"""The ingest listener: its own URLs, no sessions, no cookies, no pages."""

from ispvm.settings.env import EnvironmentInvalid
from ispvm.settings.server import *

if ISPVM_CA_KEY_FILE:
    raise EnvironmentInvalid(
        "ISPVM_CA_KEY_FILE is set: the ingest process must not have the key of the authority."
    )

ROOT_URLCONF = "ispvm.ingest_urls"
WSGI_APPLICATION = "ispvm.ingest_wsgi.application"
# No sign-in here: allauth would require its middleware, and that one sessions.
ISPVM_APPS_WITHOUT_TABLES_HERE = tuple(
    app.rpartition(".")[2] for app in INSTALLED_APPS if app.startswith("allauth.")
)
INSTALLED_APPS = [app for app in INSTALLED_APPS if not app.startswith("allauth.")]
# Without autodiscovery of admin modules, which would load the modules of sign-in.
INSTALLED_APPS[INSTALLED_APPS.index("django.contrib.admin")] = (
    "django.contrib.admin.apps.SimpleAdminConfig"
)
MIDDLEWARE = ["apps.core.requests.AgentRequestIdMiddleware"]
ALLOWED_HOSTS = ["*"]  # identity is the client certificate; the Host header decides nothing here
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # apps.ingest bounds bodies itself, while they stream
