"""Outages as operators tell them: what belongs together, what caused it, who is hit."""
