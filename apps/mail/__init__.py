"""Outgoing mail: a durable row first, then SMTP from a worker. The app that queues a message composes it."""
