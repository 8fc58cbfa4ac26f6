"""What the ISP owns and watches: sites, routers, ports, wires, sessions, probes, services."""
