"""The size of the web process, and what one tenant may take of it."""

import os

from ispvm.settings.env import Reader

env = Reader(os.environ)

#: gunicorn's worker processes, and the threads of each: as many requests as are answered at once.
ISPVM_WEB_WORKERS = 2
ISPVM_WEB_THREADS = 8
#: Requests of one tenant at once, across all web processes; a quarter of them may be expensive ones.
ISPVM_TENANT_PARALLEL_REQUESTS = env.whole(
    "ISPVM_TENANT_PARALLEL_REQUESTS", default=ISPVM_WEB_WORKERS * ISPVM_WEB_THREADS // 2
)
#: Seconds of processor and database that one tenant's requests may use per minute, over all web processes.
ISPVM_TENANT_COST_PER_MINUTE = env.whole("ISPVM_TENANT_COST_PER_MINUTE", default=60)

# Forms (Django admin and pages); REST bodies have limits of their own (apps.rest.parsing).
DATA_UPLOAD_MAX_MEMORY_SIZE: int | None = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_000
DATA_UPLOAD_MAX_NUMBER_FILES = 1
