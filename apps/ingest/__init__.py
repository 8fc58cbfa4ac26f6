"""The HTTP API for agents: bound, parse, validate, resolve, commit, respond."""
