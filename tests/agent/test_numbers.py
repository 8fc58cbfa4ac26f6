"""The agent's numbers: valid text, on this machine only, from a running agent."""

import argparse
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.errors import AgentError
from agent.numbers import HELP, exposition, loopback_address, tell_metrics

NUMBERS = {
    "agent_buffer_depth": 3.0,
    "agent_poll_errors_total": 7.0,
    'agent_devices{state="up"}': 2.0,
    'agent_devices{state="down"}': 1.0,
    "agent_heartbeat_age_seconds": float("inf"),
}


def test_the_text_is_what_prometheus_reads():
    families = {
        family.name: family for family in text_string_to_metric_families(exposition(NUMBERS))
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
def test_only_this_machine_may_be_told(text):
    with pytest.raises(argparse.ArgumentTypeError):
        loopback_address(text)


def test_answers_and_refuses_a_taken_port():
    server = tell_metrics(loopback_address("127.0.0.1:0"), lambda: NUMBERS)
    try:
        base = f"http://127.0.0.1:{server.server_address[1]}"
        with urllib.request.urlopen(f"{base}/metrics") as answer:
            assert answer.read().decode() == exposition(NUMBERS)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{base}/status")
        refused.value.close()
        with pytest.raises(AgentError, match="Cannot listen"):
            tell_metrics(("127.0.0.1", server.server_address[1]), lambda: NUMBERS)
    finally:
        server.shutdown()
        server.server_close()
