"""The rooms of the server; `pyproject.toml` says who may import whom."""
