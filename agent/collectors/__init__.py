"""Asking devices, one folder per vendor; what is peculiar to a vendor stays in its folder."""
