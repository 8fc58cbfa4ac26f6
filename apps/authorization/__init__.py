"""Who may do what: actors, permissions, row limits and the access of a request. No models."""
