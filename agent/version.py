"""The version of the platform and its agent, the only place that states it; the capabilities that the agent reports."""

from agent.collectors.registry import COLLECTORS

VERSION = "0.1.0"
CAPABILITIES = (
    *(facts.source for facts in COLLECTORS.values()),
    "probe.udp_echo",
    "probe.tcp",
    "buffer",
    "renewal",
    "diagnostics.connection",
)
