from datetime import date, timedelta

import pytest
from django.core.management import call_command
from django.db import connections

from apps.core import clock
from apps.telemetry import partitions

pytestmark = pytest.mark.django_db(databases=["default", "owner"], transaction=True)


@pytest.fixture
def cursor():
    with connections["owner"].cursor() as opened:
        yield opened


def test_ensuring_twice_makes_nothing_new(cursor):
    today = clock.now().date()

    partitions.ensure(cursor, today)

    assert partitions.ensure(cursor, today) == []


def test_a_new_day_gets_its_partition_and_an_expired_one_goes(cursor):
    today = date(2031, 5, 20)
    expired = partitions.name_of(today - timedelta(days=partitions.RETENTION_DAYS + 1))
    partitions.ensure(cursor, today - timedelta(days=partitions.RETENTION_DAYS + 1))

    made = partitions.ensure(cursor, today)
    dropped = partitions.drop_expired(cursor, today)

    assert partitions.name_of(today + timedelta(days=partitions.DAYS_AHEAD)) in made
    assert expired in dropped
    partitions.drop_expired(cursor, date(2099, 1, 1))
    partitions.ensure(cursor, clock.now().date())


def test_the_keeper_keeps_once_when_asked(capsys):
    call_command("keeper", "--once")

    assert "partitions made" in capsys.readouterr().out
