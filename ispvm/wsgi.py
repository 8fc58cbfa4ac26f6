"""The web process: pages, REST, metrics."""

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

# Seconds until a thread that computes lets another one go on (Python's own: 0.005). A request meets this after each of
# its queries, so that it would wait long beside requests that only compute.
sys.setswitchinterval(0.001)
