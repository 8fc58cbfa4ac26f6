"""The size of the web process, and the limits of one tenant."""

import os

from ispvm.settings.env import Reader

env = Reader(os.environ)

#: gunicorn's worker processes and threads per process: the number of concurrent requests.
ISPVM_WEB_WORKERS = 2
ISPVM_WEB_THREADS = 8
#: Concurrent requests of one tenant over all web processes; a quarter of them may be expensive.
ISPVM_TENANT_PARALLEL_REQUESTS = env.whole(
    "ISPVM_TENANT_PARALLEL_REQUESTS", default=ISPVM_WEB_WORKERS * ISPVM_WEB_THREADS // 2
)
#: Seconds of CPU and database time that one tenant's requests may use per minute, over all web processes.
ISPVM_TENANT_COST_PER_MINUTE = env.whole("ISPVM_TENANT_COST_PER_MINUTE", default=60)

# Forms (Django admin and pages); REST bodies have limits of their own (apps.rest.parsing).
DATA_UPLOAD_MAX_MEMORY_SIZE: int | None = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_000
DATA_UPLOAD_MAX_NUMBER_FILES = 1
