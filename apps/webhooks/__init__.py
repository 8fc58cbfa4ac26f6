"""Incident webhooks: signed, delivered at least once, with a log of every attempt."""
