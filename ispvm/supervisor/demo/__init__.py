"""`run.py demo`: the platform with a simulated ISP, a terminal menu, and fault injection."""
