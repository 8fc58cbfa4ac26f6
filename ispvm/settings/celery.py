"""Celery over the Redis protocol. The broker only wakes workers up; PostgreSQL holds the work (apps.events)."""

import os

from ispvm.settings.env import Reader

env = Reader(os.environ)

ISPVM_REDIS_URL = env.required("REDIS_URL")
CELERY_BROKER_URL = ISPVM_REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# No limit: after the default of 100 attempts a worker would not reconnect when the broker returns.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A broker that refuses writes (out of memory, full disk) counts as temporarily unavailable.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
# The restore sweep runs every 100 s by default, whatever the timeout says (kombu #2558).
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 60,
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
    "max_retries": 2,
}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 50
CELERY_TASK_SOFT_TIME_LIMIT = 40
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_TASK_DEFAULT_QUEUE = "upkeep"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "due": {
        "task": "events.run_due",
        "schedule": 1.0,
        "options": {"queue": "upkeep", "expires": 3},
    },
}
CELERY_BEAT_SCHEDULER = "celery.beat.Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": ISPVM_REDIS_URL,
        "KEY_PREFIX": "ispvm",
    },
    # Python objects stay in the process: unpickling from Redis would run code of whoever wrote to it.
    "local": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}
