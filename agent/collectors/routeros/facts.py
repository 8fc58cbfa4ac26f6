"""What server and agent know of RouterOS without its protocol code."""

from agent.collectors.facts import CollectorFacts, CredentialKind, gettext_noop

FACTS = CollectorFacts(
    name="routeros",
    label="MikroTik RouterOS",
    software="RouterOS",
    source="routeros_api",
    source_label="RouterOS API",
    port=8728,
    tls_port=8729,
    credentials=(
        CredentialKind("routeros_api", gettext_noop("RouterOS API"), ("password",), "password"),
    ),
    outcomes={
        "refused": gettext_noop(
            "Connection refused: the API service is disabled or uses another port"
        ),
        # The `address` list of /ip/service lets the router accept the connection, then close it.
        "api_disabled": gettext_noop(
            "The router closed the session: the API is not allowed from the agent's address"
        ),
    },
)
