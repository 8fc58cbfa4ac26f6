"""What the answer of a receiver means."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.delivery.channels import Verdict
from apps.webhooks.sending import classify, read_retry_after

AT = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def test_only_2xx_is_success_and_only_410_is_final():
    verdicts = {status: classify(status) for status in range(100, 1000)}

    assert {s for s, v in verdicts.items() if v is Verdict.DELIVERED} == set(range(200, 300))
    assert [s for s, v in verdicts.items() if v is Verdict.GONE] == [410]
    assert set(verdicts.values()) == {Verdict.DELIVERED, Verdict.RETRY, Verdict.GONE}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("1000000000", 366 * 86_400),
        ("9" * 4000, 366 * 86_400),
        ("Wed, 01 Jul 2026 12:00:30 GMT", 30),
        ("Wed, 01 Jul 2026 14:00:30 +0200", 30),
        ("Wed, 01 Jul 2026 12:00:30", 30),
        ("Wed, 01 Jul 2026 11:59:00 GMT", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("1e3", None),
        ("", None),
        ("soon", None),
        ("\u0663", None),
        ("Wed, 99 Jul 2026 12:00:30 GMT", None),
        ("Wed, 01 Jul 99999999999 12:00:30 GMT", None),
    ],
)
def test_reads_every_form_of_retry_after(value, seconds):
    expected = None if seconds is None else timedelta(seconds=seconds)

    assert read_retry_after(value, at=AT) == expected


@given(st.text(max_size=60))
def test_any_retry_after_is_parsed_or_ignored(value):
    delay = read_retry_after(value, at=AT)

    assert delay is None or delay >= timedelta(0)
