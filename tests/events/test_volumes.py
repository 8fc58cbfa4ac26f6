"""Free space of volumes: metrics from the file system, one log line per change, and a notice for platform operators."""

import os
from pathlib import Path

import pytest
from django.test import Client
from structlog.testing import capture_logs

from apps.core import clock
from apps.core.metrics import exposition
from apps.events import volumes
from apps.events.models import RunningProcess
from apps.events.volumes import FACT, Volume, Volumes, low_volumes
from tests.accounts.operators import make_operator
from tests.clients import signed_in

GIB = 2**30


class TestVolume:
    @pytest.mark.parametrize(
        ("free", "total", "is_low"),
        [
            (0, 50 * GIB, True),
            (4 * GIB, 50 * GIB, True),
            (6 * GIB, 50 * GIB, False),
            (90 * GIB, 1000 * GIB, False),
            (19 * GIB, 1000 * GIB, True),
        ],
    )
    def test_is_low_below_a_tenth_and_20_gib(self, free, total, is_low):
        volume = Volume("home", free, total)

        assert volume.is_low == is_low

    def test_reads_the_file_system_of_a_folder(self, tmp_path):
        volume = volumes.read_volume("home", tmp_path)

        status = os.statvfs(tmp_path)
        assert volume.total == status.f_blocks * status.f_frsize
        assert 0 < volume.free <= volume.total

    def test_a_missing_folder_is_left_out(self, tmp_path):
        assert Volumes({"missing": tmp_path / "x", "home": tmp_path}).fact()[0]["name"] == "home"


def test_exports_metrics(tmp_path):
    text = exposition([Volumes({"home": tmp_path})]).decode()

    assert 'ispvm_volume_free_bytes{volume="home"}' in text
    assert 'ispvm_volume_bytes{volume="home"}' in text


def test_each_change_is_logged_once(monkeypatch):
    free_bytes = iter([GIB, GIB, 30 * GIB, 30 * GIB])
    monkeypatch.setattr(
        volumes, "read_volume", lambda name, _folder: Volume(name, next(free_bytes), 50 * GIB)
    )
    monitored = Volumes({"database": Path("/")})

    with capture_logs() as logs:
        for _ in range(4):
            monitored.read()

    assert [(line["event"], line["volume"]) for line in logs] == [
        ("volume_nearly_full", "database"),
        ("volume_recovered", "database"),
    ]


def record_beat(host: str, free: int) -> None:
    now = clock.now()
    fact = [{"name": "database", "free": free, "total": 100 * GIB}]
    RunningProcess.objects.create(
        kind="beat", host=host, pid=1, started_at=now, seen_at=now, facts={FACT: fact}
    )


@pytest.mark.django_db
class TestNotice:
    def page_of(self, user) -> str:
        browser = Client()
        signed_in(browser, user)
        return browser.get("/tenants/").content.decode()

    def test_platform_operators_see_it_on_their_page(self, acme_admin):
        record_beat("noc1", 3 * GIB)

        assert "The volume database of noc1 is nearly full: 3 % is free." in self.page_of(
            make_operator()
        )
        assert "nearly full" not in self.page_of(acme_admin)

    def test_there_is_no_notice_with_enough_space(self):
        record_beat("noc1", 50 * GIB)

        assert "nearly full" not in self.page_of(make_operator())

    def test_lists_each_volume_once(self):
        for _ in range(2):
            record_beat("noc1", 3 * GIB)
        record_beat("noc2", 50 * GIB)

        assert [(v.name, v.host, v.percent) for v in low_volumes()] == [("database", "noc1", 3)]
