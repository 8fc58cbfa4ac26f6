"""The alert state machine."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.alerts.choices import AlertState
from apps.alerts.rules.conditions import Evaluation
from apps.alerts.rules.machine import Episode, step
from apps.alerts.rules.program import Timing

T0 = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TIMING = Timing(for_seconds=10, recover_for_seconds=10, cooldown_seconds=0)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def breach(seconds: float, **fields) -> Evaluation:
    return Evaluation(is_breach=True, is_clear=False, ts=at(seconds), value_text="0", **fields)


def clear(seconds: float) -> Evaluation:
    return Evaluation(is_breach=False, is_clear=True, ts=at(seconds), value_text="1")


def between(seconds: float) -> Evaluation:
    return Evaluation(is_breach=False, is_clear=False, ts=at(seconds), value_text="85")


def run_steps(
    *steps: tuple[float, Evaluation | None],
    timing: Timing = TIMING,
    max_gap: timedelta = timedelta.max,
) -> Episode:
    episode = Episode()
    for seconds, evaluation in steps:
        episode = step(episode, evaluation, timing, at(seconds), max_gap=max_gap)
    return episode


class TestFiring:
    def test_fires_after_the_duration_with_a_second_sample(self):
        episode = run_steps((1, breach(0)), (6, breach(5)), (11, breach(10)))

        assert episode.state is AlertState.FIRING
        assert (episode.since, episode.fired_at) == (at(0), at(11))

    def test_firing_and_recovery_have_their_own_durations(self):
        timing = Timing(for_seconds=20, recover_for_seconds=5, cooldown_seconds=0)
        steps = [(1, breach(0)), (11, breach(10))]
        assert run_steps(*steps, timing=timing).state is AlertState.PENDING
        steps += [(21, breach(20)), (31, clear(30))]
        assert run_steps(*steps, timing=timing).state is AlertState.RECOVERING
        assert run_steps(*steps, (35, clear(34)), timing=timing).state is AlertState.OK

    def test_a_relapse_restarts_the_recovery(self):
        steps = [(1, breach(0)), (11, breach(10)), (21, clear(20)), (26, breach(25))]
        assert run_steps(*steps).clear_since is None
        steps += [(31, clear(30))]
        assert run_steps(*steps).clear_since == at(30)
        assert run_steps(*steps, (36, clear(35))).state is AlertState.RECOVERING
        assert run_steps(*steps, (41, clear(40))).state is AlertState.OK

    def test_does_not_fire_on_a_single_sample(self):
        assert run_steps((1, breach(0)), (60, breach(0))).state is AlertState.PENDING

    def test_does_not_fire_before_the_duration(self):
        assert run_steps((1, breach(0)), (6, breach(5))).state is AlertState.PENDING

    def test_a_single_good_sample_restarts_the_duration(self):
        assert run_steps(
            (1, breach(0)), (6, clear(5)), (11, breach(10)), (16, breach(15))
        ).since == at(10)

    def test_missing_samples_neither_fire_nor_reset(self):
        assert run_steps((1, breach(0)), (30, None), (60, None)).state is AlertState.PENDING

    def test_an_absence_needs_no_second_sample(self):
        assert run_steps(
            (1, breach(0, needs_confirmation=False)), (11, breach(0, needs_confirmation=False))
        ).state is (AlertState.FIRING)

    def test_without_a_duration_it_fires_at_once(self):
        assert run_steps((1, breach(0)), timing=Timing(0, 10, 0)).state is AlertState.FIRING


class TestRecovering:
    FIRED = ((1, breach(0)), (11, breach(10)))

    def test_recovers_after_the_recovery_duration(self):
        assert run_steps(*self.FIRED, (16, clear(15)), (26, clear(25))).recovered_at == at(26)

    def test_a_relapse_returns_to_firing_and_keeps_since(self):
        episode = run_steps(*self.FIRED, (16, clear(15)), (21, breach(20)))

        assert (episode.state, episode.since, episode.fired_at) == (
            AlertState.FIRING,
            at(0),
            at(11),
        )

    def test_between_the_two_thresholds_it_keeps_firing(self):
        assert (
            run_steps(*self.FIRED, (16, between(15)), (60, between(59))).state is AlertState.FIRING
        )

    def test_missing_samples_do_not_recover(self):
        assert run_steps(*self.FIRED, (300, None)).state is AlertState.FIRING

    def test_a_cooldown_keeps_it_pending_until_it_ends(self):
        timing = Timing(10, 0, 60)
        recovered = run_steps(*self.FIRED, (16, clear(15)), timing=timing)

        early = step(step(recovered, breach(20), timing, at(21)), breach(35), timing, at(36))
        late = step(early, breach(80), timing, at(81))

        assert (early.state, late.state) == (AlertState.PENDING, AlertState.FIRING)


class TestGap:
    """Nothing lasts over a time without samples (case 17)."""

    MINUTE = timedelta(seconds=60)
    HOURS = 72_000.0

    def test_one_bad_sample_before_and_one_after_it_do_not_fire(self):
        episode = run_steps(
            (1, clear(0)),
            (6, breach(5)),
            (self.HOURS + 2, breach(self.HOURS + 1)),
            max_gap=self.MINUTE,
        )

        assert (episode.state, episode.since) == (AlertState.PENDING, at(self.HOURS + 1))

    def test_a_pending_alert_ends_when_samples_stop(self):
        steps = [(1, breach(0)), (6, breach(5))]
        assert run_steps(*steps, (65, None), max_gap=self.MINUTE).state is AlertState.PENDING
        assert run_steps(*steps, (66, None), max_gap=self.MINUTE) == Episode()

    def test_every_sample_counts_not_only_the_first(self):
        steps = [(n + 1, breach(n)) for n in range(0, 200, 50)]
        timing = Timing(for_seconds=150, recover_for_seconds=10, cooldown_seconds=0)

        episode = run_steps(*steps, timing=timing, max_gap=self.MINUTE)

        assert (episode.state, episode.since) == (AlertState.FIRING, at(0))

    def test_a_recovery_begins_anew_after_it(self):
        fired = [(1, breach(0)), (11, breach(10)), (16, clear(15))]
        episode = run_steps(*fired, (1000, None), (1001, clear(1000)), max_gap=self.MINUTE)
        assert (episode.state, episode.clear_since) == (AlertState.RECOVERING, at(1000))

        episode = run_steps(*fired, (1001, clear(1000)), (1011, clear(1010)), max_gap=self.MINUTE)
        assert episode.recovered_at == at(1011)

    def test_a_firing_alert_keeps_firing_through_it(self):
        episode = run_steps(
            (1, breach(0)), (11, breach(10)), (1001, breach(1000)), max_gap=self.MINUTE
        )

        assert (episode.state, episode.since) == (AlertState.FIRING, at(0))


optional_breaches = st.one_of(st.none(), st.booleans())


@given(st.lists(optional_breaches, max_size=60))
def test_firing_needs_duration_and_confirmation_and_recovery_its_duration(breaches):
    episode = Episode()
    run: list[float] = []
    for index, is_breach in enumerate(breaches):
        seconds = index * 5.0
        evaluation = (
            None if is_breach is None else (breach(seconds) if is_breach else clear(seconds))
        )
        before, episode = episode, step(episode, evaluation, TIMING, at(seconds))
        run = run if is_breach is None else ([*run, seconds] if is_breach else [])
        if episode.state is AlertState.FIRING and before.state is AlertState.PENDING:
            assert len(run) >= 2
            assert seconds - run[0] >= TIMING.for_seconds
        if episode.state is AlertState.OK and before.fired_at and not episode.fired_at:
            assert before.state is AlertState.RECOVERING
        if is_breach is None:
            assert episode == before


@pytest.mark.parametrize("jitter", [0.0, 0.4, 0.9])
def test_an_uneven_cadence_does_not_change_the_outcome(jitter):
    steps = [(i * 5 + jitter, breach(i * 5 + jitter / 2)) for i in range(4)]

    assert run_steps(*steps).state is AlertState.FIRING
