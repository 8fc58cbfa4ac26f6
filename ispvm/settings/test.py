"""Settings of the tests: real PostgreSQL as the app role, real Valkey, fast password hashes.

`tests.services` starts the servers and fills the environment before Django reads this;
the defaults below only let type checkers import it.
"""

import os

os.environ.setdefault("ISPVM_ENV", "test")
os.environ.setdefault("ISPVM_SECRET_KEY", "only-for-tests-" + "x" * 40)
os.environ.setdefault("ISPVM_MASTER_KEY_FILE", "/nonexistent")
os.environ.setdefault("DATABASE_URL", "postgres://ispvm_app@127.0.0.1/ispvm")
os.environ.setdefault("DATABASE_OWNER_URL", "postgres://ispvm_owner@127.0.0.1/ispvm")
os.environ.setdefault("REDIS_URL", "redis://127.0.0.1/0")

from ispvm.settings.server import *

DEBUG = False
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
MIDDLEWARE.remove("whitenoise.middleware.WhiteNoiseMiddleware")  # no collected static files here
for _alias in DATABASES.values():
    _alias["CONN_MAX_AGE"] = 0
# Depends on wall-clock time: tests of these limits set their own.
ISPVM_TENANT_COST_PER_MINUTE = 1_000_000
ISPVM_TOKEN_REQUESTS_PER_MINUTE = 1_000_000
# Concurrency tests send more requests at once than a web process has threads; tests of the limits set their own.
ISPVM_WEB_THREADS = 64
ISPVM_TENANT_PARALLEL_REQUESTS = 64
