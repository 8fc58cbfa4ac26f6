"""Incident webhooks: signed, at least once, with a ledger of every attempt."""
