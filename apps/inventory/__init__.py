"""Sites, devices, interfaces, links, routing sessions, probe targets and services of an ISP."""
