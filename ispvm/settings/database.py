"""PostgreSQL: the app role is `default`; the owner role is configured only where its URL is set."""

import os

from ispvm.settings.env import Reader, database

env = Reader(os.environ)

_app_url = env.required("DATABASE_URL")
DATABASES = {"default": database(_app_url)} if _app_url else {}
if _owner_url := env.text("DATABASE_OWNER_URL"):
    DATABASES["owner"] = database(_owner_url)

# The role that migrations grant to: the same name everywhere, so that a dump restores anywhere.
ISPVM_APP_ROLE = "ispvm_app"
