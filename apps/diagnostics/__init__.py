"""Diagnostics that users run through the agent of a device; each is audited before it runs."""
