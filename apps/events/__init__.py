"""Durable work: outbox, subscriptions, jobs, the due table, the beat.

PostgreSQL stores all work; Celery and Redis only wake workers up. ``FLUSHALL`` loses nothing.
"""
