"""Fingerprints of configurations: they cover every change, and no secret."""

import random

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.device import MonitoredDevice
from agent.collectors.routeros.configuration import CATEGORIES, canonical, digest
from agent.normalize.changes import ConfigurationTracker
from agent.protocol.registry import Tier
from tests.agent.fake_router import MENUS, FakeRouter, device_config, rows

KEY = X25519PrivateKey.generate()
ALL = list(Tier)
SECRET_WORDS = (
    "password",
    "secret",
    "key",
    "psk",
    "community",
    "source",
    "script",
    "token",
    "cert",
)
FILTER = "/ip/firewall/filter/print"


class TestAllowlist:
    def test_names_no_key_that_may_hold_a_secret(self):
        keys = {key for menus in CATEGORIES.values() for wanted in menus.values() for key in wanted}

        assert not {key for key in keys for word in SECRET_WORDS if word in key}

    def test_names_no_menu_of_secrets(self):
        menus = {menu for menus in CATEGORIES.values() for menu in menus}

        assert not {
            menu for menu in menus for word in (*SECRET_WORDS, "user", "radius") if word in menu
        }

    def test_keys_that_are_not_listed_are_ignored(self):
        plain = [{"name": "ether1", "comment": "a"}]
        with_secret = [{"name": "ether1", "comment": "a", "password": "s3cret", "rx-byte": "7"}]

        assert canonical(plain, ("name", "comment")) == canonical(with_secret, ("name", "comment"))

    def test_the_order_of_rows_counts_and_that_of_keys_does_not(self):
        first, second = {"chain": "a", "action": "drop"}, {"chain": "a", "action": "accept"}
        reordered = dict(reversed(first.items()))

        assert canonical([first, second], ("chain", "action")) == canonical(
            [reordered, second], ("chain", "action")
        )
        assert canonical([first, second], ("chain",)) == canonical([second, first], ("chain",))
        assert canonical([first, second], ("action",)) != canonical([second, first], ("action",))

    def test_every_change_of_a_listed_value_is_another_fingerprint(self):
        rng = random.Random(7)
        table = [{"chain": str(rng.random()), "action": str(rng.random())} for _ in range(50)]
        digests = {digest([canonical(table, ("chain", "action"))])}
        for row in table:
            row[rng.choice(["chain", "action"])] += "x"
            digests.add(digest([canonical(table, ("chain", "action"))]))

        assert len(digests) == 51


class TestConfigurationTracker:
    def test_the_first_reading_is_no_change(self):
        assert ConfigurationTracker().detect("d", {"firewall": "a"}, 1.0) == ()

    def test_each_category_that_differs_is_one_event(self):
        tracker = ConfigurationTracker()
        tracker.detect("d", {"firewall": "a", "system": "s"}, 1.0)

        (event,) = tracker.detect("d", {"firewall": "b", "system": "s"}, 31.0)

        assert event.event_type == "config.changed.detected"
        assert event.payload == {
            "category": "firewall",
            "old": "a",
            "new": "b",
            "seconds_since_read": "30",
        }

    def test_what_could_not_be_read_is_unknown_and_not_changed(self):
        tracker = ConfigurationTracker()
        tracker.detect("d", {"firewall": "a"}, 1.0)

        assert tracker.detect("d", {}, 2.0) == ()
        assert tracker.detect("d", {"firewall": "a"}, 3.0) == ()


@pytest.fixture
def router():
    filters = rows({".id": "*1", "chain": "input", "action": "accept"})
    history = rows({".id": "*1", "action": "filter rule added", "by": "jane", "time": "1"})
    instance = FakeRouter(dict(MENUS) | {FILTER: filters, "/system/history/print": history})
    yield instance
    instance.close()


@pytest.fixture
def device(router):
    instance = MonitoredDevice(device_config(KEY, router.port), KEY, "127.0.0.7")
    yield instance
    instance.close()


def changed(result) -> list[str]:
    return [
        event.payload["category"]
        for event in result.events
        if event.event_type == "config.changed.detected"
    ]


class TestPolling:
    def test_a_change_in_the_history_is_detected_with_the_slow_tier(self, router, device):
        assert changed(device.poll(ALL)) == []
        router.menus[FILTER] = rows({".id": "*1", "chain": "input", "action": "drop"})
        router.menus["/system/history/print"] = rows(
            {"action": "changed", "by": "jane", "time": "2"}
        )

        assert changed(device.poll([Tier.FAST, Tier.MEDIUM])) == []
        assert changed(device.poll([Tier.FAST, Tier.MEDIUM, Tier.SLOW])) == ["firewall"]
        assert changed(device.poll(ALL)) == []

    def test_without_changes_in_the_history_it_is_read_once_a_day(self, router, device):
        device.poll(ALL)
        router.menus[FILTER] = rows({".id": "*1", "chain": "input", "action": "drop"})

        assert changed(device.poll([Tier.FAST, Tier.MEDIUM, Tier.SLOW])) == []
        assert changed(device.poll(ALL)) == ["firewall"]

    def test_a_new_session_alone_is_no_reason_to_read_it_again(self, router, device):
        device.poll(ALL)
        device.close()
        router.commands.clear()

        device.poll([Tier.FAST])

        assert any(sentence[0] == "/system/history/print" for sentence in router.commands)
        assert not any(sentence[0] == FILTER for sentence in router.commands)

    def test_the_fingerprints_are_one_text_sample(self, device):
        samples = {s.metric: s.value for s in device.poll(ALL).samples}

        assert "firewall:" in samples["device.config.fingerprint"]
