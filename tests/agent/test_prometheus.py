"""The agent's metrics: valid text, on loopback only."""

import argparse
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.errors import AgentError
from agent.prometheus import HELP, exposition, loopback_address, serve_metrics

METRICS = {
    "agent_buffer_depth": 3.0,
    "agent_poll_errors_total": 7.0,
    'agent_devices{state="up"}': 2.0,
    'agent_devices{state="down"}': 1.0,
    "agent_heartbeat_age_seconds": float("inf"),
}


def test_the_exposition_is_valid():
    families = {
        family.name: family for family in text_string_to_metric_families(exposition(METRICS))
    }

    assert families["agent_poll_errors"].type == "counter"
    assert families["agent_buffer_depth"].documentation == HELP["agent_buffer_depth"]
    assert [(s.labels, s.value) for s in families["agent_devices"].samples] == [
        ({"state": "up"}, 2.0),
        ({"state": "down"}, 1.0),
    ]
    assert families["agent_heartbeat_age_seconds"].samples[0].value == float("inf")


@pytest.mark.parametrize(
    "text", ["0.0.0.0:9000", "192.0.2.1:9000", "localhost:9", "127.0.0.1", ":1"]
)
def test_only_loopback_addresses_are_accepted(text):
    with pytest.raises(argparse.ArgumentTypeError):
        loopback_address(text)


def test_serves_metrics_and_refuses_a_port_in_use():
    server = serve_metrics(loopback_address("127.0.0.1:0"), lambda: METRICS)
    try:
        base = f"http://127.0.0.1:{server.server_address[1]}"
        with urllib.request.urlopen(f"{base}/metrics") as response:
            assert response.read().decode() == exposition(METRICS)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{base}/status")
        refused.value.close()
        with pytest.raises(AgentError, match="Cannot listen"):
            serve_metrics(("127.0.0.1", server.server_address[1]), lambda: METRICS)
    finally:
        server.shutdown()
        server.server_close()
