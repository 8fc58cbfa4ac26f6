"""Diagnostic jobs that users request, run from this agent's position in the network."""
