"""Work that must not be lost: outbox, subscriptions, jobs, the due table, the beat.

PostgreSQL holds the truth; Celery and Redis only ring the bell. ``FLUSHALL`` loses nothing.
"""
