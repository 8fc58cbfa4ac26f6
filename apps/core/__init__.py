"""The lowest app: clock, errors, egress client, metrics, web basics. It has no models."""
