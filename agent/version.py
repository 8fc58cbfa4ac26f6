"""The version of the platform and its agent, the only place that states it; the capabilities that the agent reports."""

VERSION = "0.1.0"
CAPABILITIES = (
    "routeros_api",
    "probe.udp_echo",
    "probe.tcp",
    "buffer",
    "renewal",
    "diagnostics.connection",
)
