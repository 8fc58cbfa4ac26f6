"""WSGI application of ingest: serves agents only, over mutual TLS."""

import os

from django.core.wsgi import get_wsgi_application

from apps.core.watched_wsgi import WatchedApplication

# Not setdefault: importing the ispvm package has already set the variable for the other processes.
os.environ["DJANGO_SETTINGS_MODULE"] = "ispvm.settings.ingest"
application = WatchedApplication(get_wsgi_application())

from apps.core.preload import load_before_threads  # noqa: E402  (needs the app registry)
from ispvm.refusal import refuse_to_load  # noqa: E402  (needs the app registry)

refuse_to_load()
load_before_threads()
