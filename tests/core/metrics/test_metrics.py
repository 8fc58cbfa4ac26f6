"""Numbers: who may read them, what processes of one group count together, what the web process tells."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from ipaddress import ip_network
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from apps.core.metrics import Listener, exposition, is_allowed, merge_dead
from apps.core.metrics.folder import clear_folder

PROJECT = Path(__file__).parents[3]
OFFICE = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
COUNTING = """
import os, sys
from prometheus_client import Counter, Gauge, Histogram
Counter("made", "Made.", ["kind"]).labels("x").inc(float(sys.argv[1]))
Histogram("took_seconds", "Took.", buckets=(1, 10)).observe(5)
Gauge("busy", "Busy.", multiprocess_mode="livesum").set(1)
if len(sys.argv) > 2:
    os.kill(os.getpid(), 9)
"""


def values(text: bytes) -> dict[str, float]:
    return {
        sample.name + "".join(f"|{label}" for label in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


class TestMayRead:
    @pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
    def test_this_host_may(self, peer):
        assert is_allowed(peer, ())

    @pytest.mark.parametrize("peer", ["192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7"])
    def test_the_allow_list_may_and_nobody_without_it(self, peer):
        assert is_allowed(peer, OFFICE)
        assert not is_allowed(peer, ())

    @pytest.mark.parametrize("peer", ["", "10.0.0.1", "192.0.3.1", "localhost", "fe80::1%eth0"])
    def test_others_may_not(self, peer):
        assert not is_allowed(peer, OFFICE)


class TestFolder:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch) -> Path:
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
        return tmp_path

    def count(self, folder: Path, number: int, *more: str) -> None:
        subprocess.run(
            [sys.executable, "-c", COUNTING, str(number), *more],
            check=False,
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        )

    def test_what_killed_processes_counted_stays_and_their_files_go(self, folder):
        for number in (1, 2, 3, 4):
            self.count(folder, number, "kill -9")
        assert len(list(folder.glob("*.db"))) == 12

        metrics_text = values(exposition())

        assert metrics_text["made_total|x"] == 10
        assert (metrics_text["took_seconds_count"], metrics_text["took_seconds_sum"]) == (4, 20)
        assert metrics_text["took_seconds_bucket|1.0"] == 0
        assert "busy" not in metrics_text
        assert {path.name for path in folder.glob("*.db")} == {
            "counter_merged.db",
            "histogram_merged.db",
        }

    def test_a_second_look_and_a_late_death_change_no_sum(self, folder):
        self.count(folder, 1)
        assert values(exposition())["made_total|x"] == 1
        assert values(exposition())["made_total|x"] == 1

        self.count(folder, 5)

        assert values(exposition())["made_total|x"] == 6

    def test_files_of_the_living_are_left_alone(self, folder):
        self.count(folder, 1)
        (dead,) = folder.glob("counter_*.db")
        dead.rename(folder / f"counter_{os.getpid()}.db")

        merge_dead(folder)

        assert (folder / f"counter_{os.getpid()}.db").exists()

    def test_a_group_that_starts_counts_from_zero(self, folder):
        self.count(folder, 1)
        exposition()

        clear_folder(folder)

        assert values(exposition()) == {}


class TestListener:
    @pytest.fixture
    def listener(self):
        listener = Listener(("127.0.0.1", 0), (), lambda: b"one 1\n")
        listener.start()
        assert listener.listening.wait(300)
        yield listener
        listener.stop()

    def test_answers_metrics_and_nothing_else(self, listener):
        base = f"http://127.0.0.1:{listener.address[1]}"

        with urllib.request.urlopen(f"{base}/metrics") as answer:
            assert answer.read() == b"one 1\n"
            assert "Python" not in answer.headers["Server"]
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{base}/")
        refused.value.close()
        assert refused.value.code == 404

    def test_waits_for_a_port_that_is_still_taken(self, listener):
        second = Listener(("127.0.0.1", listener.address[1]), (), lambda: b"two 2\n")
        second.start()
        assert not second.listening.wait(0.3)

        listener.stop()

        assert second.listening.wait(300)
        second.stop()


@pytest.mark.django_db
class TestWebPage:
    def test_tells_requests_by_view_and_no_tenant(self, client, acme):
        client.get("/livez")

        answer = client.get("/metrics")

        assert answer.status_code == 200
        metrics_text = values(answer.content)
        name = "django_http_requests_latency_seconds_by_view_method_count|GET|livez"
        assert metrics_text[name] >= 1
        assert b"acme" not in answer.content.lower()
        assert str(acme.id).encode() not in answer.content

    @pytest.mark.parametrize(
        "how",
        [
            {"REMOTE_ADDR": "203.0.113.9"},
            {"REMOTE_ADDR": ""},
            {"headers": {"X-Forwarded-For": "127.0.0.1"}},
            {"headers": {"Forwarded": "for=127.0.0.1"}},
            {"REMOTE_ADDR": "203.0.113.9", "headers": {"X-Real-IP": "127.0.0.1"}},
        ],
    )
    def test_is_404_for_other_hosts_and_through_proxies(self, client, how):
        assert client.get("/metrics", **how).status_code == 404

    def test_is_there_for_the_operators_network(self, client, settings):
        settings.ISPVM_METRICS_ALLOW = OFFICE

        assert client.get("/metrics", REMOTE_ADDR="192.0.2.7").status_code == 200

    def test_a_strange_method_makes_no_label(self, client):
        client.generic("BREW", "/livez")

        text = client.get("/metrics").content

        assert b"BREW" not in text
        assert b'method="other"' in text
