"""Polling of devices, one package per vendor; vendor quirks stay in that package."""
