"""Maintenance windows on sites and routers. Alerts still fire in them; notifications are suppressed."""
