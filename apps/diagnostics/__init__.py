"""Questions that a person asks of the network through the agent on the spot: audited before they are asked."""
