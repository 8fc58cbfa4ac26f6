"""Active probes: UDP echo and TCP connect."""
