"""docs/webhooks.md agrees with the code: headers, events, schedule, limits."""

import re
from pathlib import Path
from uuid import UUID

import pytest

from apps.core import clock
from apps.core.http import client
from apps.delivery import retries
from apps.delivery.channels import Job
from apps.delivery.choices import DeadReason, EventType, PauseReason
from apps.delivery.services import queueing, settling
from apps.events.retention import rules
from apps.webhooks import sending
from apps.webhooks.api.serializers import RotationSerializer
from apps.webhooks.channel import CHANNEL
from apps.webhooks.receiver.verifier import TOLERANCE_SECONDS
from apps.webhooks.services import secrets
from tests.webhooks.samples import SECRET


def retention_days(table: str) -> int:
    return next(rule.retention.days for rule in rules() if rule.table == table)


FILE = Path(__file__).parents[2] / "docs" / "webhooks.md"
TEXT = FILE.read_text(encoding="utf-8")
NORMALIZED_TEXT = " ".join(TEXT.split())
NIL_ID = UUID(int=0)
GRACE_HOURS = RotationSerializer().fields["grace_hours"].default


def first_column(heading: str) -> list[str]:
    """The first column of the table with this heading."""
    table = TEXT.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [line.split("|")[1].strip().strip("`") for line in table.splitlines()[2:]]


def test_lists_every_header_and_no_other():
    job = Job(
        *(NIL_ID, NIL_ID, NIL_ID, NIL_ID, NIL_ID, 1),
        *(NIL_ID, "webhook.ping", None, 0, b"{}"),
    )

    header_names = set(sending.headers_of(job, (SECRET,), at=clock.now())) - {"Content-Type"}

    assert set(first_column("header")) == header_names


def test_lists_every_event():
    assert first_column("`event_type`") == EventType.values


def test_has_the_retry_schedule():
    rows = re.findall(r"^\| (\d+) \| (\d+) \|", TEXT, re.MULTILINE)

    assert [(int(n), int(delay)) for n, delay in rows] == list(
        enumerate(retries.DELAYS_SECONDS, start=1)
    )
    assert round(sum(retries.DELAYS_SECONDS) / 3600) == 70


@pytest.mark.parametrize(
    "sentence",
    [
        f"has {retries.MAX_ATTEMPTS} attempts",
        f"up to {retries.JITTER:.0%}".replace("%", " percent"),
        f"{client.CONNECT_SECONDS:g} seconds to accept",
        f"{client.TOTAL_SECONDS:g} seconds for everything",
        f"more than {TOLERANCE_SECONDS} seconds",
        f"more than {queueing.MAX_HOPS} is not sent on",
        f"first {sending.SHOWN_RESPONSE} bytes",
        f"{settling.PAUSE_AFTER.total_seconds() / 3600:g} hours of nothing but failures",
        f"there are {settling.BACKOFF.total_seconds():g} seconds between attempts",
        f"for {retention_days('delivery_delivery')} days",
        f"(0 to {secrets.LONGEST_GRACE.total_seconds() / 3600:g} hours, default {GRACE_HOURS})",
        *[f"(`{reason}`)" for reason in (*PauseReason.values, DeadReason.EXHAUSTED.value)],
    ],
)
def test_has_the_numbers_and_codes(sentence):
    assert sentence in NORMALIZED_TEXT


def test_numbers_that_the_page_writes_as_words():
    assert (CHANNEL.max_senders, settling.SLOW_FAILURES_BEFORE_BACKOFF) == (4, 3)
    assert retries.MAX_RETRY_AFTER_FACTOR == 2


def test_its_links_exist():
    links = re.findall(r"\]\(([^)]+)\)", TEXT)

    assert len(links) == 3
    assert all((FILE.parent / link).is_file() for link in links)
