"""The collectors out in the PoPs: their identity (PKI, enrollment), their work (assignment, config), their pulse."""
