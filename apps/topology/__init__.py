"""How the network hangs together: dependency groups and the graph snapshot that correlation reads."""
