"""The listener of the agents: bound, parse, check, resolve, commit, answer."""
