"""Agents (collectors): identity (PKI, enrollment), assignments and config, heartbeats."""
