"""Flap detection: one alert while it lasts."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.alerts.choices import AlertState
from apps.alerts.errors import RuleInvalid
from apps.alerts.packs import load_pack
from apps.alerts.rules.compile import compile_rule
from apps.alerts.rules.conditions import Evaluation
from apps.alerts.rules.flapping import Flapping, detect_flapping
from apps.alerts.rules.machine import Episode, step
from apps.alerts.rules.program import Flap, Timing

T0 = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FLAP = Flap(transitions=4, window_seconds=120, quiet_seconds=60)
TIMING = Timing(for_seconds=10, recover_for_seconds=10, cooldown_seconds=0)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def state_changes(*seconds: float) -> list[datetime]:
    return [at(second) for second in seconds]


def flapping_at(*seconds: float, now: float, was_flapping: bool = False) -> Flapping | None:
    return detect_flapping(FLAP, state_changes(*seconds), at(now), was_flapping=was_flapping)


class TestDetection:
    def test_more_changes_than_allowed_within_the_window_are_flapping(self):
        assert flapping_at(0, 6, 12, 18, now=20) is None
        assert flapping_at(0, 6, 12, 18, 24, now=25) == Flapping(at(0), 5)

    def test_changes_further_apart_than_the_window_are_not_flapping(self):
        assert flapping_at(0, 40, 80, 120, 160, now=161) is None

    def test_flapping_lasts_until_the_quiet_time_has_passed(self):
        assert flapping_at(100, now=159, was_flapping=True) == Flapping(at(100), 1)
        assert flapping_at(100, now=160, was_flapping=True) is None

    def test_old_changes_start_nothing(self):
        assert flapping_at(0, 6, 12, 18, 24, now=90) is None

    def test_future_changes_do_not_count(self):
        assert flapping_at(0, 6, 12, 18, 40, now=20) is None

    @given(
        st.lists(st.integers(0, 300), max_size=30),
        st.integers(0, 400),
        st.booleans(),
        st.integers(0, 2**32),
    )
    def test_order_and_repetition_of_reports_do_not_matter(self, seconds, now, was_flapping, seed):
        shuffled = [at(second) for second in seconds * 2]
        random.Random(seed).shuffle(shuffled)

        assert detect_flapping(FLAP, shuffled, at(now), was_flapping=was_flapping) == flapping_at(
            *seconds, now=now, was_flapping=was_flapping
        )


def evaluation(seconds: float, *, is_bad: bool) -> Evaluation:
    return Evaluation(is_breach=is_bad, is_clear=not is_bad, ts=at(seconds), value_text=str(is_bad))


def simulate(period: float, *, last: float, until: float) -> list[tuple[float, Episode]]:
    """A link that is down in the first half of each period, polled and evaluated every 3 s."""
    episode = Episode()
    transitions: list[tuple[float, Episode]] = []
    changes: list[datetime] = []
    was_down = False
    for second in range(0, int(until), 3):
        is_down = second < last and second % period < period / 2
        if is_down != was_down:
            changes.append(at(second))
            was_down = is_down
        flapping = detect_flapping(FLAP, changes, at(second), was_flapping=episode.is_flapping)
        after = step(episode, evaluation(second, is_bad=is_down), TIMING, at(second), flapping)
        if after != episode:
            transitions.append((second, after))
        episode = after
    return transitions


class TestStateMachine:
    def test_short_flaps_are_one_alert_from_the_fifth_change_to_the_quiet_time(self):
        transitions = simulate(12, last=60, until=240)

        fired = [second for second, episode in transitions if episode.fired_at == at(second)]
        recovered = [
            second for second, episode in transitions if episode.recovered_at == at(second)
        ]
        assert fired == [24]
        assert len(recovered) == 1
        assert recovered[0] >= 54 + FLAP.quiet_seconds

    def test_while_flapping_evaluations_do_not_change_the_state(self):
        transitions = simulate(12, last=90, until=91)

        assert [episode.state for _, episode in transitions][-1] is AlertState.FIRING
        assert sum(episode.state is AlertState.FIRING for _, episode in transitions) == 1

    def test_a_single_flap_does_not_fire(self):
        assert all(episode.fired_at is None for _, episode in simulate(12, last=7, until=60))

    def test_it_keeps_firing_when_it_stays_down_after_flapping(self):
        episode = Episode(AlertState.FIRING, since=at(0), fired_at=at(20), is_flapping=True)

        after = step(episode, evaluation(90, is_bad=True), TIMING, at(90), None)

        assert after.state is AlertState.FIRING
        assert after.fired_at == at(20)
        assert not after.is_flapping


class TestCompiling:
    def rule(self, **flap) -> dict:
        document = next(row for row in load_pack("first") if row["id"] == "interface_down")
        return {**document, "flap": flap}

    def test_quiet_seconds_defaults_to_a_third_of_the_window(self):
        assert compile_rule(self.rule(transitions=3, window_seconds=600)).flap == Flap(3, 600, 200)

    @pytest.mark.parametrize(
        "flap",
        [
            {},
            {"transitions": 0, "window_seconds": 60},
            {"transitions": 3},
            {"transitions": 3, "window_seconds": 1},
            {"transitions": True, "window_seconds": 60},
            {"transitions": 3, "window_seconds": 60, "quiet_seconds": 61},
            {"transitions": 3, "window_seconds": 60, "more": 1},
        ],
    )
    def test_invalid_values_are_rejected(self, flap):
        with pytest.raises(RuleInvalid, match="flap"):
            compile_rule(self.rule(**flap))

    def test_a_metric_without_state_change_events_is_rejected(self):
        document = next(row for row in load_pack("first") if row["id"] == "cpu_high")

        with pytest.raises(RuleInvalid, match="flap"):
            compile_rule({**document, "flap": {"transitions": 3, "window_seconds": 60}})
