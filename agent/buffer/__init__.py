"""The disk buffer: batches between their creation and their acknowledgement by the server."""
