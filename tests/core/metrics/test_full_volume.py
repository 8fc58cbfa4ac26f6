"""Counting on a full volume: no SIGBUS, numbers go on in memory, and what was counted before stays."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

from apps.core.metrics import reserved
from apps.core.metrics.folder import clear_folder, merge_dead
from ispvm.supervisor.paths import PROJECT

#: Counts so many different things that the file must grow several times.
COUNTING = """
import sys
from apps.core.metrics import reserved
if sys.argv[1] == "reserved":
    reserved.install()
from prometheus_client import Counter
counted = Counter("things", "Things.", ["name"])
for number in range(5000):
    counted.labels(f"thing number {number}").inc()
print("counted", counted.labels("thing number 4999")._value.get())
"""


@pytest.fixture
def volume() -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small volume")
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "ispvm-test", folder], check=False
        )
        if mounted.returncode:
            pytest.skip("no volume can be mounted here")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path, *, but: int = 0) -> None:
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
        if but:
            file.truncate(file.tell() - but)


def count(folder: Path, how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COUNTING, how],
        check=False,
        cwd=PROJECT,
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("free", [0, 4096, 128 * 1024])
def test_a_process_that_counts_survives(volume, free):
    fill(volume, but=free)

    done = count(volume, "reserved")

    assert (done.returncode, done.stdout) == (0, "counted 1.0\n"), done.stderr


def test_the_library_alone_is_ended_by_sigbus(volume):
    """What this stands against: if it ends otherwise some day, our file may go."""
    fill(volume, but=4096)

    assert count(volume, "plain").returncode == -7


def test_what_was_counted_before_the_volume_was_full_goes_on_in_memory(volume):
    path = str(volume / f"counter_{os.getpid()}.db")
    numbers = reserved.ReservedDict(path)
    numbers.write_value("first", 5.0, 0.0)
    fill(volume)

    for number in range(3000):
        numbers.write_value(f"value {number}", 1.0, 0.0)
    numbers.write_value("first", 6.0, 0.0)

    assert numbers.read_value("first")[0] == 6.0
    assert numbers.read_value("value 2999")[0] == 1.0
    numbers.close()
    assert next(iter(MmapedDict.read_all_values_from_file(path)))[:2] == ("first", 5.0)


def test_what_a_dead_process_counted_waits_where_it_is_until_there_is_room(volume):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    clear_folder(volume)
    numbers = reserved.ReservedDict(str(volume / f"counter_{dead.pid}.db"))
    numbers.write_value("things", 7.0, 0.0)
    numbers.close()
    fill(volume)

    assert merge_dead(volume) == 0
    (volume / "filler").unlink()
    assert merge_dead(volume) == 1

    past = {
        key: value
        for key, value, *_ in MmapedDict.read_all_values_from_file(
            str(volume / "counter_merged.db")
        )
    }
    assert past == {"things": 7.0}
