"""From what a device said to samples of the registry, the same for every vendor."""
