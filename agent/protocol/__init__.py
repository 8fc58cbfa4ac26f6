"""What agent and server agree on: ids, metric and event names, batch and config shapes, sealing."""
