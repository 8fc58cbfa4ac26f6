"""Incidents: correlation of alerts, root causes, impact and lifecycle."""
