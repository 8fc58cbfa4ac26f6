"""Secrets: a data key per tenant, wrapped by the installation's key; ciphertext bound to its row by associated data."""
