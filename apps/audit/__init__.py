"""The audit log: append-only, hash-chained per tenant, written in the transaction of the audited action."""
