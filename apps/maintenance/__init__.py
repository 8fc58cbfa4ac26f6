"""Announced work: windows on sites and routers. Alerts go on living in them; nobody is woken by their consequences."""
