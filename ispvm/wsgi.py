"""The web process: pages, REST, metrics."""

import os

from django.core.wsgi import get_wsgi_application

from apps.core.watched_wsgi import WatchedApplication

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ispvm.settings.server")
application = WatchedApplication(get_wsgi_application())

from ispvm.refusal import refuse_to_load  # noqa: E402  (needs the app registry)

refuse_to_load()
