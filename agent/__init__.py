"""The PoP agent: a distribution of its own, without Django and without the server's apps."""
