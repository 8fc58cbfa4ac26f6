"""A modelled ISP on loopback addresses: routers that speak the RouterOS API, and failures on request.

It stands where the real network stands: agents poll it, and nothing in it reads our database or our
services. What it answers follows from `network.Network` alone, so a demo can compare what the platform
concluded with what is true.
"""
