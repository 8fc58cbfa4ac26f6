"""Converts the readings of a device to samples and inventory items, the same for every vendor."""
