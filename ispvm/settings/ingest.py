"""The ingest listener: its own URLs, no sessions, no cookies, no pages."""

from ispvm.settings.env import EnvironmentInvalid
from ispvm.settings.server import *

if ISPVM_CA_KEY_FILE:
    raise EnvironmentInvalid(
        "ISPVM_CA_KEY_FILE is set: the ingest process must not have the key of the authority."
    )

ROOT_URLCONF = "ispvm.ingest_urls"
WSGI_APPLICATION = "ispvm.ingest_wsgi.application"
# No sign-in here: allauth would require its middleware, and that one sessions; autodiscovery of admin modules would
# load the modules of sign-in.
ISPVM_APPS_WITHOUT_TABLES_HERE = ("account", "mfa", "socialaccount")
for _app in ("allauth.account", "allauth.mfa", "allauth.socialaccount", "django.contrib.admin"):
    INSTALLED_APPS.remove(_app)
INSTALLED_APPS.append("django.contrib.admin.apps.SimpleAdminConfig")
MIDDLEWARE = ["apps.core.requests.AgentRequestIdMiddleware"]
ALLOWED_HOSTS = ["*"]  # identity is the client certificate; the Host header decides nothing here
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # apps.ingest bounds bodies itself, while they stream
