"""The agent's version and capabilities, as reported to the server."""

VERSION = "0.1.0"
CAPABILITIES = (
    "routeros_api",
    "probe.udp_echo",
    "probe.tcp",
    "buffer",
    "renewal",
    "diagnostics.connection",
)
