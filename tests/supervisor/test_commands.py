import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ispvm.supervisor.errors import LaunchError, explain_os_error
from ispvm.supervisor.paths import PROJECT, Home
from ispvm.supervisor.ports import ensure_port, free_port, is_free, require_free
from ispvm.supervisor.secrets import ensure_secret, write_private


def run(*arguments: str, python: str = sys.executable, **variables: str):
    """The command with what it says itself: a machine without npm's registry is told so by each command."""
    result = subprocess.run(
        [python, "run.py", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={**os.environ, **variables},
    )
    lines = result.stderr.splitlines(keepends=True)
    result.stderr = "".join(line for line in lines if not line.startswith("The front-end packages"))
    return result


@pytest.fixture
def used_port():
    """A port of the loopback address that something listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def old_python():
    """An interpreter that is too old; on many machines there is none."""
    for version in ("3.10", "3.9", "3.8"):
        found = shutil.which(f"python{version}")
        # Version managers put names on the PATH whose interpreter may not be chosen here.
        if (
            found
            and subprocess.run([found, "-V"], check=False, capture_output=True).returncode == 0
        ):
            return found
    pytest.skip("no older Python on this machine")


class TestRunPy:
    def test_help_names_every_command(self):
        result = run("--help")

        assert result.returncode == 0
        for command in ("setup", "demo", "test", "check", "manage", "lock"):
            assert f"  {command}" in result.stdout

    def test_an_unknown_command_is_one_sentence(self):
        result = run("dmeo")

        assert result.returncode == 2
        assert result.stderr == "Unknown command 'dmeo'; python3 run.py --help lists them.\n"

    def test_an_old_python_is_one_sentence(self):
        source = (PROJECT / "run.py").read_text(encoding="utf-8")
        pretend = "import sys; sys.version_info = (3, 9, 2)\n"

        result = subprocess.run(
            [sys.executable, "-c", pretend + source], check=False, capture_output=True, text=True
        )

        assert result.returncode == 2
        assert result.stderr.startswith(
            "ISPVisualMonitor needs Python 3.11 or newer; this is Python 3.9.2"
        )
        assert result.stderr.count("\n") == 1

    def test_old_pythons_can_read_it_as_far_as_that_sentence(self, old_python):
        result = run("--help", python=old_python)

        assert (result.returncode, result.stderr.count("\n")) == (2, 1)

    def test_a_busy_port_is_one_sentence_that_names_it(self, used_port, tmp_path):
        result = run("demo", "--port", str(used_port), ISPVM_HOME=str(tmp_path / "home"))

        assert result.returncode == 2
        assert result.stderr == (
            f"Port {used_port} on 127.0.0.1 (web) is in use; "
            "end what uses it or choose others with --port.\n"
        )

    def test_a_data_folder_that_cannot_be_made_is_one_sentence(self):
        result = run("demo", ISPVM_HOME="/proc/ispvm")

        assert result.returncode == 2
        assert result.stderr.count("\n") == 1
        assert "/proc/ispvm" in result.stderr


class TestPorts:
    def test_a_taken_port_is_named_with_its_purpose(self, used_port):
        with pytest.raises(LaunchError, match=rf"Port {used_port} on 127.0.0.1 \(web\) is in use"):
            require_free(used_port, purpose="web", remedy="choose another")

    def test_a_remembered_port_is_kept_while_it_is_free(self, tmp_path):
        port = ensure_port(tmp_path / "port")

        assert ensure_port(tmp_path / "port") == port

    def test_a_remembered_port_that_was_taken_is_replaced(self, tmp_path, used_port, monkeypatch):
        monkeypatch.setattr("ispvm.supervisor.ports.PATIENCE_SECONDS", 0.2)
        (tmp_path / "port").write_text(str(used_port))

        port = ensure_port(tmp_path / "port")

        assert port != used_port
        assert (tmp_path / "port").read_text() == f"{port}\n"

    def test_a_free_port_is_free(self):
        assert is_free(free_port())


class TestSecrets:
    def test_a_secret_is_made_once(self, tmp_path):
        first = ensure_secret(tmp_path / "deep" / "secret")

        assert ensure_secret(tmp_path / "deep" / "secret") == first
        assert (tmp_path / "deep" / "secret").stat().st_mode & 0o777 == 0o600
        assert [path.name for path in (tmp_path / "deep").iterdir()] == ["secret"]

    def test_a_private_file_does_not_follow_a_link_laid_out_for_it(self, tmp_path):
        victim = tmp_path / "victim"
        victim.write_text("untouched")
        (tmp_path / "secret").symlink_to(victim)

        write_private(tmp_path / "secret", "secret")

        assert victim.read_text() == "untouched"
        assert not (tmp_path / "secret").is_symlink()


class TestErase:
    def test_a_folder_that_the_tests_made_first_is_ours(self, tmp_path):
        (tmp_path / "test").mkdir()
        home = Home(tmp_path)
        home.prepare()
        (tmp_path / "demo").mkdir()

        home.erase()

        assert not (tmp_path / "demo").exists()
        assert (tmp_path / "test").exists()

    def test_leaves_a_folder_alone_that_it_did_not_make(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("years of work")
        home = Home(tmp_path)
        home.prepare()

        with pytest.raises(LaunchError, match="was not created by this launcher"):
            home.erase()

        assert (tmp_path / "thesis.tex").exists()

    def test_removes_what_it_made_but_not_the_tests_servers(self, tmp_path):
        home = Home(tmp_path / "home")
        home.prepare()
        (home.root / "demo").mkdir()
        (home.root / "test").mkdir()

        home.erase()

        remaining = {path.name for path in home.root.iterdir()}
        assert "demo" not in remaining
        assert "secrets" not in remaining
        assert "test" in remaining


def test_a_full_disk_is_explained():
    with pytest.raises(OSError, match="No space left") as full, Path("/dev/full").open("w") as disk:
        disk.write("x")
        disk.flush()

    assert explain_os_error(full.value, Path("/data")) == (
        "No space is left on the disk that holds /data."
    )
