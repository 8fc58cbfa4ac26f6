"""A simulated ISP on loopback addresses: routers with the RouterOS API, and failures on request.

It replaces the real network: agents poll it, and it reads neither the platform's database nor its services. All replies
are derived from `network.Network`, so a demo can compare the platform's conclusions with the true state.
"""
