"""The RouterOS API of the simulated routers: encoding, queries, commands, sessions."""
