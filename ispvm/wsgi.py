"""WSGI application of the web process: pages, REST, metrics."""

import os
import sys

from django.core.wsgi import get_wsgi_application

from apps.core.watched_wsgi import WatchedApplication

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ispvm.settings.server")
application = WatchedApplication(get_wsgi_application())

from apps.core.preload import load_before_threads  # noqa: E402  (needs the app registry)
from ispvm.refusal import refuse_to_load  # noqa: E402  (needs the app registry)

refuse_to_load()
load_before_threads()

# Seconds until a computing thread releases the GIL (default 0.005). A request waits for the GIL after each query, so
# with the default it would be slow beside CPU-bound requests.
sys.setswitchinterval(0.001)
