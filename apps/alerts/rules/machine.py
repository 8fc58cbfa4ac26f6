"""State machine of one alert: ok -> pending -> firing -> recovering -> ok. Pure and deterministic.

`since` is the timestamp of the first breaching sample, not of an evaluation. A breach fires when it has lasted
``for_seconds`` and a second sample confirmed it. Late data cannot fire retroactively, because only the newest sample
at evaluation time can fire. Waiting, to fire or to recover, begins anew after a gap in the samples: nothing lasts over
a time that nobody observed.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from apps.alerts.choices import AlertState
from apps.alerts.rules.conditions import Evaluation
from apps.alerts.rules.flapping import Flapping
from apps.alerts.rules.program import Timing


@dataclass(frozen=True)
class Episode:
    """State of one alert of one rule on one entity."""

    state: AlertState = AlertState.OK
    since: datetime | None = None
    fired_at: datetime | None = None
    clear_since: datetime | None = None
    recovered_at: datetime | None = None
    is_flapping: bool = False
    #: The newest sample while it waits to fire or to recover.
    sample_at: datetime | None = None


def step(
    episode: Episode,
    evaluation: Evaluation | None,
    timing: Timing,
    at: datetime,
    flapping: Flapping | None = None,
    *,
    max_gap: timedelta = timedelta.max,
) -> Episode:
    """The episode after the evaluation at ``at``; the same one when nothing changes.

    While flapping, the alert keeps firing whatever single evaluations say. ``max_gap`` is the longest time between
    two samples over which a breach or a recovery is taken to have lasted.
    """
    if flapping is not None:
        return _while_flapping(episode, flapping, at)
    if episode.is_flapping:
        episode = replace(episode, is_flapping=False)
    newest = at if evaluation is None else evaluation.ts
    has_gap = episode.sample_at is not None and newest - episode.sample_at > max_gap
    if has_gap and episode.state is AlertState.PENDING:
        episode = replace(episode, state=AlertState.OK, since=None, sample_at=None)
    if evaluation is None:
        return episode
    if has_gap and episode.state is AlertState.RECOVERING:
        episode = replace(episode, clear_since=evaluation.ts)
    if episode.state in {AlertState.OK, AlertState.PENDING}:
        return _before_firing(episode, evaluation, timing, at)
    return _after_firing(episode, evaluation, timing, at)


def _while_flapping(episode: Episode, flapping: Flapping, at: datetime) -> Episode:
    return replace(
        episode,
        state=AlertState.FIRING,
        since=episode.since or flapping.since,
        fired_at=episode.fired_at or at,
        clear_since=None,
        is_flapping=True,
        sample_at=None,
    )


def _before_firing(
    episode: Episode, evaluation: Evaluation, timing: Timing, at: datetime
) -> Episode:
    if not evaluation.is_breach:
        return (
            episode
            if episode.state is AlertState.OK
            else replace(episode, state=AlertState.OK, since=None, sample_at=None)
        )
    pending = replace(episode, sample_at=evaluation.ts)
    if episode.state is AlertState.OK:
        pending = replace(pending, state=AlertState.PENDING, since=evaluation.ts)
    since = pending.since or evaluation.ts
    is_confirmed = (
        not evaluation.needs_confirmation or timing.for_seconds == 0 or evaluation.ts > since
    )
    has_lasted = at - since >= timedelta(seconds=timing.for_seconds)
    if is_confirmed and has_lasted and not _is_in_cooldown(episode, timing, at):
        return replace(
            pending, state=AlertState.FIRING, fired_at=at, clear_since=None, sample_at=None
        )
    return pending


def _after_firing(
    episode: Episode, evaluation: Evaluation, timing: Timing, at: datetime
) -> Episode:
    if evaluation.is_breach:
        if episode.state is AlertState.FIRING:
            return episode
        return replace(episode, state=AlertState.FIRING, clear_since=None, sample_at=None)
    if not evaluation.is_clear:
        return episode
    recovering = replace(episode, sample_at=evaluation.ts)
    if episode.state is AlertState.FIRING:
        recovering = replace(recovering, state=AlertState.RECOVERING, clear_since=evaluation.ts)
    clear_since = recovering.clear_since or evaluation.ts
    if at - clear_since >= timedelta(seconds=timing.recover_for_seconds):
        return Episode(state=AlertState.OK, recovered_at=at)
    return recovering


def _is_in_cooldown(episode: Episode, timing: Timing, at: datetime) -> bool:
    recovered = episode.recovered_at
    return recovered is not None and at - recovered < timedelta(seconds=timing.cooldown_seconds)
