"""Rules over stored telemetry, on the real database."""

from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from structlog.testing import capture_logs

from agent.protocol import ids
from apps.alerts import services
from apps.alerts.models import Alert, AlertRule, AlertTransition
from apps.alerts.packs import load_pack
from apps.core.messages import Message
from apps.events.models import Due, OutboxDelivery, OutboxEvent
from apps.inventory.models import ProbeTarget
from apps.inventory.services import apply_discovery
from apps.maintenance.services import plan_window
from apps.telemetry import store
from apps.telemetry.store import EventRow
from apps.tenancy import acting_in
from tests.alerts.simulation import ACTOR, Simulation
from tests.inventory.factories import make_device, make_link

pytestmark = pytest.mark.django_db


class TestUnreachable:
    def test_fires_after_its_role_s_ten_seconds_and_recovers(self, acme, rules, core, simulation):
        simulation.run("device.up", "device", core.id, 1.0, 0.0, 0.0, 0.0)
        assert simulation.alerts() == [("unreachable", "firing")]
        with acting_in(acme):
            alert = Alert.objects.get()
        assert alert.since == simulation.at(5)
        assert alert.severity == "critical"
        assert alert.summary == "cr1 does not respond to probes"
        assert alert.summary_message == Message("alerts.summary.unreachable", {"entity": "cr1"})
        assert alert.observation["override"] == "role core"

        for seconds in (20, 25, 30, 35):
            simulation.add_sample(seconds, "device.up", "device", core.id, 1.0)
            simulation.evaluate(seconds + 1)
        assert simulation.alerts() == [("unreachable", "ok")]

    def test_a_short_breach_does_not_fire_and_leaves_no_row(self, rules, core, simulation):
        simulation.run("device.up", "device", core.id, *[1.0, 0.0, 1.0] * 5)

        assert simulation.alerts() == []

    def test_missing_samples_do_not_fire(self, rules, core, simulation):
        simulation.run("device.up", "device", core.id, 1.0, *[None] * 20)

        assert simulation.alerts() == []

    @pytest.mark.parametrize("late_good", [False, True])
    def test_a_gap_of_hours_between_two_bad_samples_is_no_outage(
        self, acme, rules, core, simulation, late_good
    ):
        """Case 17 of the faults: a lost probe, twenty hours without data, a lost probe."""
        simulation.run("device.up", "device", core.id, 1.0, 0.0)
        if late_good:
            simulation.add_sample(72_000, "device.up", "device", core.id, 1.0, is_late=True)
            simulation.evaluate(72_000)
        simulation.add_sample(72_001, "device.up", "device", core.id, 0.0)
        simulation.evaluate(72_002)

        assert simulation.alerts() == [("unreachable", "pending")]
        with acting_in(acme):
            assert Alert.objects.get().since == simulation.at(72_001)

    def test_a_slow_probe_is_no_gap(self, acme, rules, core, simulation):
        """An interval beyond the lookback of the rule must not silence it."""
        with acting_in(acme):
            ProbeTarget.objects.create(
                device=core,
                name="cr1",
                method="tcp",
                address="127.20.0.1",
                port=80,
                interval_seconds=120,
            )
        simulation.run("device.up", "device", core.id, 1.0, 0.0, 0.0, every=120)
        simulation.evaluate(242)

        assert simulation.alerts() == [("unreachable", "firing")]

    def test_a_slow_profile_is_no_gap(self, acme, rules, core, simulation):
        with acting_in(acme):
            core.polling_profile = {"slow_s": 600}
            core.save()
        simulation.run("device.psu.ok", "device", core.id, 0.0, 0.0, 1.0, every=600)
        simulation.evaluate(1205)
        assert simulation.alerts() == [("power_supply", "recovering")]
        with acting_in(acme):
            assert Alert.objects.get().clear_since == simulation.at(1200)

    def test_samples_of_a_host_whose_clock_is_ahead_are_fresh(self, rules, core, simulation):
        """The clocks of the host that stores and of the one that evaluates differ by two seconds."""
        for seconds in range(0, 40, 5):
            simulation.add_sample(seconds, "device.up", "device", core.id, 0.0)
            simulation.evaluate(seconds - 2)

        assert simulation.alerts() == [("unreachable", "firing")]

    def test_an_access_router_fires_after_thirty_seconds(self, acme, rules, simulation):
        with acting_in(acme):
            access = make_device("acc1", role="access", management_address="127.20.0.9")
        simulation.run("device.up", "device", access.id, *[0.0] * 5)
        assert simulation.alerts() == [("unreachable", "pending")]

        for seconds in (25, 30, 35):
            simulation.add_sample(seconds, "device.up", "device", access.id, 0.0)
            simulation.evaluate(seconds + 1)
        assert simulation.alerts() == [("unreachable", "firing")]


class TestInterfaceDown:
    @pytest.fixture
    def port(self, acme, core, t0):
        """cr1's port towards cr2, discovered and bound to their link."""
        with acting_in(acme):
            far = make_device("cr2", management_address="127.20.0.2")
            make_link(core, far)
            port = ids.interface_id(core.id, "to-cr2")
            spare = ids.interface_id(core.id, "ether9")
            items = [
                {
                    "id": str(pk),
                    "device_id": str(core.id),
                    "name": name,
                    "type": "ether",
                    "disabled": False,
                }
                for pk, name in ((port, "to-cr2"), (spare, "ether9"))
            ]
            apply_discovery(patch={"interfaces": items}, device_ids=[core.id], actor=ACTOR, at=t0)
        return port

    def test_fires_for_a_port_that_carries_a_link(self, rules, port, simulation):
        simulation.run("interface.oper_up", "interface", port, 1.0, 0.0, 0.0, 0.0)

        assert simulation.alerts() == [("interface_down", "firing")]

    def test_a_port_without_a_link_does_not_fire(self, rules, core, port, simulation):
        spare = ids.interface_id(core.id, "ether9")
        simulation.run("interface.oper_up", "interface", spare, 0.0, 0.0, 0.0, 0.0)

        assert simulation.alerts() == []

    def test_a_disabled_port_does_not_fire(self, rules, port, simulation):
        simulation.add_sample(0, "interface.admin_up", "interface", port, 0.0)
        simulation.run("interface.oper_up", "interface", port, 0.0, 0.0, 0.0, 0.0)

        assert simulation.alerts() == []


class TestTuning:
    def test_an_override_applies_at_once_and_is_in_the_observation(
        self, acme, rules, core, simulation, t0
    ):
        with acting_in(acme):
            services.set_override(
                rule=rules["unreachable"],
                level="device",
                target=str(core.id),
                changes={"for_seconds": 60},
                reason="slow link",
                actor=ACTOR,
                at=t0,
            )
        simulation.run("device.up", "device", core.id, *[0.0] * 6)

        assert simulation.alerts() == [("unreachable", "pending")]

    def test_disabling_a_rule_ends_its_alerts(self, acme, rules, core, simulation, t0):
        simulation.run("device.up", "device", core.id, *[0.0] * 4)
        with acting_in(acme):
            services.set_enabled(rule=rules["unreachable"], is_enabled=False, actor=ACTOR, at=t0)

        simulation.evaluate(20)

        assert simulation.alerts() == [("unreachable", "ok")]

    def test_installing_a_pack_again_keeps_disabled_rules(self, acme, rules, t0):
        with acting_in(acme):
            services.set_enabled(rule=rules["cpu_high"], is_enabled=False, actor=ACTOR, at=t0)
            services.install_pack(pack="first", actor=ACTOR, at=t0)

            assert AlertRule.objects.count() == len(load_pack("first"))
            assert not AlertRule.objects.get(key="cpu_high").is_enabled
        assert Due.objects.filter(kind=services.EVALUATE, tenant_id=acme.id).count() == 1

    def test_an_invalid_override_is_rejected(self, acme, rules, t0):
        with acting_in(acme), pytest.raises(services.OverrideInvalid):
            services.set_override(
                rule=rules["cpu_high"], level="galaxy", changes={"threshold": 1}, actor=ACTOR, at=t0
            )


class TestWrites:
    def test_each_transition_is_recorded_and_published_once(self, acme, rules, core, simulation):
        simulation.run("device.up", "device", core.id, *[0.0] * 4)
        assert simulation.evaluate(16) == 0

        with acting_in(acme):
            transitions = list(AlertTransition.objects.values_list("from_state", "to_state"))
            published = list(OutboxEvent.objects.filter(topic="alert.transition"))
        assert transitions == [("pending", "firing")]
        assert [event.payload["to"] for event in published] == ["firing"]

    def test_another_tenants_samples_are_ignored(self, acme, globex, rules, core, simulation, t0):
        other = Simulation(globex, t0)
        other.run("device.up", "device", core.id, *[0.0] * 4)

        assert simulation.alerts() == other.alerts() == []

    def test_the_number_of_queries_does_not_grow_with_entities(self, acme, rules, simulation):
        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                simulation.evaluate(1)
            return len(captured)

        with acting_in(acme):
            first = make_device("r0", management_address="127.20.1.1")
        simulation.add_sample(0, "device.up", "device", first.id, 1.0)
        expected = queries()
        with acting_in(acme):
            many = [make_device(f"r{n}", management_address=f"127.20.2.{n}") for n in range(1, 20)]
        for device in many:
            simulation.add_sample(0, "device.up", "device", device.id, 1.0)

        assert queries() == expected

    def test_neither_statements_nor_messages_grow_with_the_alerts_that_change(
        self, acme, rules, simulation, django_capture_on_commit_callbacks
    ):
        """Each pass moves every router's alert: to pending, to firing, to recovering, to ok."""

        def passes(group: str, count: int, start: float) -> list[tuple[int, int]]:
            with acting_in(acme):
                devices = [
                    make_device(f"{group}{n}", management_address=f"127.20.{start:g}.{n}")
                    for n in range(1, count + 1)
                ]
            found = []
            for seconds, value in ((0, 0.0), (11, 0.0), (20, 1.0), (31, 1.0)):
                for device in devices:
                    simulation.add_sample(start + seconds, "device.up", "device", device.id, value)
                with (
                    CaptureQueriesContext(connection) as captured,
                    django_capture_on_commit_callbacks() as messages,
                ):
                    assert simulation.evaluate(start + seconds + 1) == count
                found.append((len(captured), len(messages)))
            return found

        few = passes("a", 1, 0)
        many = passes("b", 30, 250)

        assert many == few
        assert max(messages for _, messages in many) == 1
        with acting_in(acme):
            assert Alert.objects.filter(state="ok").count() == 31
            assert AlertTransition.objects.count() == OutboxEvent.objects.count() == 3 * 31
            positions = list(OutboxDelivery.objects.order_by("position").values_list("position"))
            assert len(set(positions)) == len(positions) == 3 * 31


class TestStoredRules:
    def test_one_that_does_not_compile_does_not_stop_the_others(
        self, acme, rules, core, simulation
    ):
        with acting_in(acme):
            row = rules["cpu_high"]
            row.document["condition"]["operator"] = "of an earlier version"
            row.save()
        with capture_logs() as logs:
            simulation.run("device.up", "device", core.id, *[0.0] * 4)

        assert simulation.alerts() == [("unreachable", "firing")]
        assert {"event": "rule_not_compilable", "rule": "cpu_high"}.items() <= logs[0].items()


class TestDocumentEnabled:
    def test_a_rule_that_ships_disabled_fires_after_it_was_enabled(
        self, acme, rules, core, simulation, t0
    ):
        document = {**rules["unreachable"].document, "id": "disabled_rule", "enabled": False}
        with acting_in(acme):
            services.set_enabled(rule=rules["unreachable"], is_enabled=False, actor=ACTOR, at=t0)
            (disabled_rule,) = services.import_rules(documents=[document], actor=ACTOR, at=t0)
        simulation.run("device.up", "device", core.id, *[0.0] * 4)
        assert simulation.alerts() == []

        with acting_in(acme):
            services.set_enabled(rule=disabled_rule, is_enabled=True, actor=ACTOR, at=t0)
        for seconds in (20, 25, 30, 35):
            simulation.add_sample(seconds, "device.up", "device", core.id, 0.0)
            simulation.evaluate(seconds + 1)

        assert simulation.alerts() == [("disabled_rule", "firing")]


class TestLateSamples:
    def test_late_samples_fire_nothing(self, rules, core, simulation):
        for seconds in range(0, 40, 5):
            simulation.add_sample(seconds, "device.up", "device", core.id, 0.0, is_late=True)
            simulation.evaluate(41 + seconds / 20)  # received at once, in order

        assert simulation.alerts() == []

    def test_late_samples_do_not_end_an_alert(self, rules, core, simulation):
        simulation.run("device.up", "device", core.id, *[0.0] * 4)
        simulation.add_sample(18, "device.up", "device", core.id, 1.0, is_late=True)
        simulation.evaluate(40)

        assert simulation.alerts() == [("unreachable", "firing")]

    def test_the_first_sample_that_is_not_late_is_evaluated(self, rules, core, simulation):
        simulation.add_sample(0, "device.up", "device", core.id, 0.0, is_late=True)
        simulation.evaluate(41)
        for seconds in (45, 50, 56):
            simulation.add_sample(seconds, "device.up", "device", core.id, 0.0)
            simulation.evaluate(seconds + 1)

        assert simulation.alerts() == [("unreachable", "firing")]
        with acting_in(simulation.tenant):
            assert Alert.objects.get().since == simulation.at(45)


class TestFlapping:
    @pytest.fixture
    def port(self, acme, core, t0):
        with acting_in(acme):
            other = make_device("cr2", role="core", management_address="127.20.9.9")
            make_link(core, other, a_interface_name="sfp1")
            item = {
                "id": str(ids.interface_id(core.id, "sfp1")),
                "device_id": str(core.id),
                "name": "sfp1",
                "type": "ether",
                "disabled": False,
            }
            apply_discovery(patch={"interfaces": [item]}, device_ids=[core.id], actor=ACTOR, at=t0)
            return core.interfaces.get()

    def flap(self, simulation, port, *seconds: float, delay: float = 0) -> None:
        """A state-change event and a sample at each second, down and up in turn."""
        for number, second in enumerate(seconds):
            event = EventRow(
                uuid4(),
                simulation.at(second),
                "interface.oper.changed",
                "info",
                "interface",
                port.id,
                {},
            )
            simulation.add_sample(
                second, "interface.oper_up", "interface", port.id, float(number % 2)
            )
            with acting_in(simulation.tenant):
                store.write_batch(events=[event], received_at=simulation.at(second + delay))

    def test_is_one_alert_with_its_own_summary(self, acme, rules, simulation, port):
        self.flap(simulation, port, 0, 6, 12, 18, 24, 30)
        simulation.evaluate(31)
        simulation.evaluate(33)

        assert simulation.alerts() == [("interface_down", "firing")]
        with acting_in(acme):
            alert = Alert.objects.get()
            assert alert.is_flapping
            assert alert.summary == "cr1 sfp1 is flapping: 6 changes in 120 s"
            assert alert.summary_message == Message(
                "alerts.summary.flapping", {"entity": "cr1 sfp1", "changes": 6, "seconds": 120}
            )
            assert AlertTransition.objects.count() == 1

    def test_ends_after_the_quiet_time(self, acme, rules, simulation, port):
        self.flap(simulation, port, 0, 6, 12, 18, 24, 29)
        simulation.evaluate(31)
        for seconds in (85, 91, 103):
            simulation.add_sample(seconds, "interface.oper_up", "interface", port.id, 1.0)
            simulation.evaluate(seconds + 1)

        assert simulation.alerts() == [("interface_down", "ok")]

    def test_late_events_start_nothing(self, rules, simulation, port):
        self.flap(simulation, port, 0, 6, 12, 18, 24, 29, delay=45)
        simulation.evaluate(31)

        assert [state for _, state in simulation.alerts()] != ["firing"]

    def test_state_changes_of_another_port_do_not_count(self, acme, rules, simulation, port, core):
        simulation.add_sample(0, "interface.oper_up", "interface", port.id, 1.0)
        self.flap(simulation, core, 0, 6, 12, 18, 24, 29)
        simulation.evaluate(31)

        assert ("interface_down", "firing") not in simulation.alerts()


class TestMaintenance:
    def plan(self, simulation, **targets):
        with acting_in(simulation.tenant):
            return plan_window(
                title="Router swap",
                starts_at=simulation.at(10),
                ends_at=simulation.at(60),
                actor=ACTOR,
                at=simulation.t0,
                **targets,
            )

    def test_does_not_change_the_state_of_an_alert(self, acme, rules, core, simulation):
        window = self.plan(simulation, device_ids=[core.id])
        simulation.run("device.up", "device", core.id, 1.0, 0.0, 0.0, 0.0)
        assert simulation.alerts() == [("unreachable", "firing")]
        with acting_in(acme):
            assert Alert.objects.get().maintenance_id == window.id

        for seconds in (20, 25, 30, 35):
            simulation.add_sample(seconds, "device.up", "device", core.id, 1.0)
            simulation.evaluate(seconds + 1)
        assert simulation.alerts() == [("unreachable", "ok")]

    def test_is_set_and_cleared_on_an_open_alert(self, acme, rules, core, simulation):
        self.plan(simulation, device_ids=[core.id])
        with acting_in(acme):
            flags = Alert.objects.values_list("maintenance_id", flat=True)
        covered = []
        for seconds in (-15, -10, -5, 0, 5, 12, 59, 62):
            simulation.add_sample(seconds, "device.up", "device", core.id, 0.0)
            simulation.evaluate(seconds + 0.5)
            with acting_in(acme):
                covered.append([flag is not None for flag in flags.all()])

        assert covered[-4:] == [[False], [True], [True], [False]]
