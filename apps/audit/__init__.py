"""Who did what: append-only, hash-chained per tenant, written in the same transaction as the act."""
