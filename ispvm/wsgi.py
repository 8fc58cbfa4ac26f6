"""The web process: pages, REST, metrics."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ispvm.settings.server")
application = get_wsgi_application()

from apps.tenancy.guard import refuse_bypassing_role  # noqa: E402  (needs the app registry)

refuse_bypassing_role()
