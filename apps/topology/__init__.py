"""Network topology: dependency groups, and the graph snapshot that correlation reads."""
