"""Fingerprints of configurations: they see every change, and no secret."""

import random

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.collectors.device import WatchedDevice
from agent.collectors.routeros.configuration import CATEGORIES, canonical, digest
from agent.normalize.configuration import KnownConfiguration
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


class TestTheAllowlist:
    def test_names_no_key_that_may_hold_a_secret(self):
        keys = {key for menus in CATEGORIES.values() for wanted in menus.values() for key in wanted}

        assert not {key for key in keys for word in SECRET_WORDS if word in key}

    def test_names_no_menu_of_secrets(self):
        menus = {menu for menus in CATEGORIES.values() for menu in menus}

        assert not {
            menu for menu in menus for word in (*SECRET_WORDS, "user", "radius") if word in menu
        }

    def test_what_is_not_listed_has_no_say(self):
        plain = [{"name": "ether1", "comment": "a"}]
        told = [{"name": "ether1", "comment": "a", "password": "s3cret", "rx-byte": "7"}]

        assert canonical(plain, ("name", "comment")) == canonical(told, ("name", "comment"))

    def test_the_order_of_rows_counts_and_that_of_keys_does_not(self):
        first, second = {"chain": "a", "action": "drop"}, {"chain": "a", "action": "accept"}
        turned = dict(reversed(first.items()))

        assert canonical([first, second], ("chain", "action")) == canonical(
            [turned, second], ("chain", "action")
        )
        assert canonical([first, second], ("chain",)) == canonical([second, first], ("chain",))
        assert canonical([first, second], ("action",)) != canonical([second, first], ("action",))

    def test_every_change_of_a_listed_value_is_another_fingerprint(self):
        rng = random.Random(7)
        table = [{"chain": str(rng.random()), "action": str(rng.random())} for _ in range(50)]
        seen = {digest([canonical(table, ("chain", "action"))])}
        for row in table:
            row[rng.choice(["chain", "action"])] += "x"
            seen.add(digest([canonical(table, ("chain", "action"))]))

        assert len(seen) == 51


class TestKnownConfiguration:
    def test_the_first_look_is_no_change(self):
        assert KnownConfiguration().changes("d", {"firewall": "a"}, 1.0) == ()

    def test_each_category_that_differs_is_one_event(self):
        known = KnownConfiguration()
        known.changes("d", {"firewall": "a", "system": "s"}, 1.0)

        (event,) = known.changes("d", {"firewall": "b", "system": "s"}, 31.0)

        assert event.event_type == "config.changed.detected"
        assert event.payload == {
            "category": "firewall",
            "old": "a",
            "new": "b",
            "seconds_since_read": "30",
        }

    def test_what_could_not_be_read_is_unknown_and_not_changed(self):
        known = KnownConfiguration()
        known.changes("d", {"firewall": "a"}, 1.0)

        assert known.changes("d", {}, 2.0) == ()
        assert known.changes("d", {"firewall": "a"}, 3.0) == ()


@pytest.fixture
def router():
    filters = rows({".id": "*1", "chain": "input", "action": "accept"})
    history = rows({".id": "*1", "action": "filter rule added", "by": "jane", "time": "1"})
    made = FakeRouter(dict(MENUS) | {FILTER: filters, "/system/history/print": history})
    yield made
    made.close()


@pytest.fixture
def device(router):
    made = WatchedDevice(device_config(KEY, router.port), KEY, "127.0.0.7")
    yield made
    made.close()


def changed(findings) -> list[str]:
    return [
        event.payload["category"]
        for event in findings.events
        if event.event_type == "config.changed.detected"
    ]


class TestAWatchedRouter:
    def test_a_change_that_its_history_tells_of_is_seen_with_the_slow_tier(self, router, device):
        assert changed(device.poll(ALL)) == []
        router.menus[FILTER] = rows({".id": "*1", "chain": "input", "action": "drop"})
        router.menus["/system/history/print"] = rows(
            {"action": "changed", "by": "jane", "time": "2"}
        )

        assert changed(device.poll([Tier.FAST, Tier.MEDIUM])) == []
        assert changed(device.poll([Tier.FAST, Tier.MEDIUM, Tier.SLOW])) == ["firewall"]
        assert changed(device.poll(ALL)) == []

    def test_while_its_history_is_quiet_it_is_asked_once_a_day(self, router, device):
        device.poll(ALL)
        router.menus[FILTER] = rows({".id": "*1", "chain": "input", "action": "drop"})

        assert changed(device.poll([Tier.FAST, Tier.MEDIUM, Tier.SLOW])) == []
        assert changed(device.poll(ALL)) == ["firewall"]

    def test_a_new_session_alone_is_no_reason_to_read_it_again(self, router, device):
        device.poll(ALL)
        device.close()
        router.asked.clear()

        device.poll([Tier.FAST])

        assert any(sentence[0] == "/system/history/print" for sentence in router.asked)
        assert not any(sentence[0] == FILTER for sentence in router.asked)

    def test_the_fingerprints_travel_as_one_word(self, device):
        said = {s.metric: s.value for s in device.poll(ALL).samples}

        assert "firewall:" in said["device.config.fingerprint"]
