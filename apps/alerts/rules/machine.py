"""The life of one alert: ok -> pending -> firing -> recovering -> ok. Pure and deterministic.

`since` is when the first bad value was read, never when somebody looked. A breach fires when it has held for
``for_seconds`` and a second reading confirmed it; late data cannot fire in the past, because what fires is the
newest reading at the moment of looking.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from apps.alerts.choices import AlertState
from apps.alerts.rules.conditions import Reading
from apps.alerts.rules.flapping import Flapping
from apps.alerts.rules.program import Timing


@dataclass(frozen=True)
class Episode:
    """Where one alert of one rule on one entity stands."""

    state: AlertState = AlertState.OK
    since: datetime | None = None
    fired_at: datetime | None = None
    well_since: datetime | None = None
    recovered_at: datetime | None = None
    is_flapping: bool = False


def step(
    episode: Episode,
    reading: Reading | None,
    timing: Timing,
    at: datetime,
    flapping: Flapping | None = None,
) -> Episode:
    """The episode after looking at ``at``; the same one when nothing changes.

    While something flaps, single readings do not move its alert: it fires until it is quiet.
    """
    if flapping is not None:
        return _while_flapping(episode, flapping, at)
    if episode.is_flapping:
        episode = replace(episode, is_flapping=False)
    if reading is None:
        return episode
    if episode.state in {AlertState.OK, AlertState.PENDING}:
        return _before_firing(episode, reading, timing, at)
    return _after_firing(episode, reading, timing, at)


def _while_flapping(episode: Episode, flapping: Flapping, at: datetime) -> Episode:
    return replace(
        episode,
        state=AlertState.FIRING,
        since=episode.since or flapping.since,
        fired_at=episode.fired_at or at,
        well_since=None,
        is_flapping=True,
    )


def _before_firing(episode: Episode, reading: Reading, timing: Timing, at: datetime) -> Episode:
    if not reading.is_breach:
        return (
            episode
            if episode.state is AlertState.OK
            else replace(episode, state=AlertState.OK, since=None)
        )
    pending = episode
    if episode.state is AlertState.OK:
        pending = replace(episode, state=AlertState.PENDING, since=reading.ts)
    since = pending.since or reading.ts
    is_confirmed = not reading.needs_second or timing.for_seconds == 0 or reading.ts > since
    has_held = at - since >= timedelta(seconds=timing.for_seconds)
    if is_confirmed and has_held and not _is_cooling(episode, timing, at):
        return replace(pending, state=AlertState.FIRING, fired_at=at, well_since=None)
    return pending


def _after_firing(episode: Episode, reading: Reading, timing: Timing, at: datetime) -> Episode:
    if reading.is_breach:
        if episode.state is AlertState.FIRING:
            return episode
        return replace(episode, state=AlertState.FIRING, well_since=None)
    if not reading.is_well:
        return episode
    recovering = episode
    if episode.state is AlertState.FIRING:
        recovering = replace(episode, state=AlertState.RECOVERING, well_since=reading.ts)
    well_since = recovering.well_since or reading.ts
    if at - well_since >= timedelta(seconds=timing.recover_for_seconds):
        return Episode(state=AlertState.OK, recovered_at=at)
    return recovering


def _is_cooling(episode: Episode, timing: Timing, at: datetime) -> bool:
    recovered = episode.recovered_at
    return recovered is not None and at - recovered < timedelta(seconds=timing.cooldown_seconds)
