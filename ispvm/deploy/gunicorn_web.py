"""gunicorn's configuration for the web process; it answers scrapes itself, at /metrics."""

from ispvm.deploy.gunicorn_group import *
