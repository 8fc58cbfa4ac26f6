"""The skew of the clock that a batch was stamped by, from heartbeats and the batches before. Pure."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.ingest.clock_skew import KnownSkew, skew_of_batch

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def skew(
    sent: float,
    *,
    buffered: float | None = 0.0,
    heartbeat: float | None = None,
    applied: float | None = None,
    is_former_boot: bool = False,
) -> float:
    """For a batch whose ``sent_at`` is so many seconds after its arrival."""
    return skew_of_batch(
        sent_at=AT + timedelta(seconds=sent),
        buffered_for=None if buffered is None else timedelta(seconds=buffered),
        at=AT,
        known=KnownSkew(heartbeat, applied, is_former_boot),
    )


@pytest.mark.parametrize("seconds", [-3600.0, -61.0, -3.0, 3.0, 61.0, 3600.0])
class TestASteadyClock:
    def test_is_measured_by_the_first_batch(self, seconds):
        assert skew(seconds) == seconds

    def test_is_measured_by_the_heartbeat_when_the_batch_was_long_on_its_way(self, seconds):
        assert skew(seconds - 4, heartbeat=seconds) == seconds

    def test_is_the_same_for_a_buffered_batch(self, seconds):
        assert skew(seconds - 7200, buffered=7200, heartbeat=seconds) == seconds
        assert skew(seconds - 7200, buffered=7200) == seconds

    def test_does_not_move_with_each_measurement(self, seconds):
        """Times of consecutive batches keep their distances."""
        assert skew(seconds - 0.3, applied=seconds) == seconds
        assert skew(seconds + 0.3, applied=seconds) == seconds


class TestAClockThatIsSet:
    def test_ahead_is_noticed_before_the_next_heartbeat(self):
        assert skew(3600, heartbeat=0.0, applied=0.0) == 3600
        assert skew(3600, buffered=None, heartbeat=0.0, applied=0.0) == 3600

    def test_back_is_noticed_before_the_next_heartbeat(self):
        assert skew(-3600, heartbeat=0.0, applied=0.0) == -3600

    def test_right_again_ends_the_correction(self):
        assert skew(0, heartbeat=0.0, applied=3600.0) == 0
        assert skew(0.4, heartbeat=3600.0, applied=3600.0) == pytest.approx(0, abs=0.5)


class TestDelay:
    def test_of_transmission_is_no_skew(self):
        assert skew(-0.9) == 0
        assert skew(-4, heartbeat=0.0) == 0

    def test_in_a_buffer_that_is_not_reported_is_no_skew(self):
        """Agents of others may not send the header."""
        assert skew(-7200, buffered=None) == 0
        assert skew(-7200, buffered=None, heartbeat=0.0) == 0
        assert skew(-7200, buffered=None, heartbeat=-61.0) == -61


class TestAFormerBoot:
    def test_keeps_the_skew_of_its_last_batch(self):
        """The clock may have been set at the restart, so the time in the buffer is not known."""
        assert skew(-90_000, buffered=30, applied=61.0, is_former_boot=True) == 61
