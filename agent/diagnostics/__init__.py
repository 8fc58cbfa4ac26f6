"""Questions that a person asks of the network, from where this agent stands."""
