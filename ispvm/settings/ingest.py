"""The ingest listener: its own URLs, no sessions, no cookies, no pages."""

from ispvm.settings.env import EnvironmentInvalid
from ispvm.settings.server import *

if ISPVM_CA_KEY_FILE:
    raise EnvironmentInvalid(
        "ISPVM_CA_KEY_FILE is set: the process that serves agents must not be able to sign them."
    )

ROOT_URLCONF = "ispvm.ingest_urls"
WSGI_APPLICATION = "ispvm.ingest_wsgi.application"
# Nobody signs in here; with its apps allauth would also want its middleware, and that one sessions.
ISPVM_APPS_WITHOUT_TABLES_HERE = tuple(
    app.rpartition(".")[2] for app in INSTALLED_APPS if app.startswith("allauth.")
)
INSTALLED_APPS = [app for app in INSTALLED_APPS if not app.startswith("allauth.")]
# Without its search for every app's admin module: nobody uses them here, and they load all that sign-in needs.
INSTALLED_APPS[INSTALLED_APPS.index("django.contrib.admin")] = (
    "django.contrib.admin.apps.SimpleAdminConfig"
)
MIDDLEWARE = ["apps.core.requests.AgentRequestIdMiddleware"]
ALLOWED_HOSTS = ["*"]  # identity is the client certificate; the Host header decides nothing here
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # apps.ingest bounds bodies itself, while they stream
