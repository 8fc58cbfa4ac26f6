"""The simulated ISP of `run.py demo`: its processes, its menu at the terminal, its failure injection."""
