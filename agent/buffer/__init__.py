"""Batches on disk between making them and the server having them for good."""
