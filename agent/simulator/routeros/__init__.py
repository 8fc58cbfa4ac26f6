"""The RouterOS API as the modelled routers speak it: bytes, queries, commands, sessions."""
