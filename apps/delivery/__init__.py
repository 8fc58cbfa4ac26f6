"""Deliveries: the queue, leases, attempts, retries and log of everything that leaves the platform."""
