"""`manage bootstrap`: the first operator, tenant and admin, once; passwords never on a command line."""

import io
import os
import pty
import re
import subprocess
import sys
import threading

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client

from apps.accounts.bootstrap import NewUser, bootstrap
from apps.accounts.models import Membership, PlatformOperator, Setup, User
from apps.audit.models import PlatformRecord
from apps.core import clock
from apps.tenancy.models import Tenant
from ispvm.supervisor.paths import PROJECT
from tests import database
from tests.database import url_of_this_test
from tests.supervisor.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])
EMAIL, ADMIN = "root@isp.example", "amal@isp.example"
PASSWORD = "correct-horse-battery"
FLAGS = ("--email", EMAIL, "--tenant", "Isla Net")


def run(*flags: str) -> str:
    out = io.StringIO()
    call_command("bootstrap", *flags, stdout=out)
    return out.getvalue()


def counts() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (User, Tenant, Membership, PlatformOperator))


@pytest.fixture(autouse=True)
def _no_users(transactional_db):
    """Platform operators of other tests are committed and remain (``tests.accounts.operators``)."""
    database.empty_all_tables()


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    return str(path)


def signs_in(email: str, password: str) -> bool:
    return Client().post("/sign-in/", {"email": email, "password": password}).status_code == 302


class TestBootstrap:
    def test_creates_a_user_who_can_sign_in_and_prints_next_steps(self, password_file):
        output = run(*FLAGS, "--password-file", password_file, "--name", "Root Person")

        assert signs_in(EMAIL, PASSWORD)
        tenant, user = Tenant.objects.get(), User.objects.get()
        assert (tenant.slug, tenant.name, user.get_full_name()) == (
            "isla-net",
            "Isla Net",
            "Root Person",
        )
        assert Membership.objects.get(user=user, tenant=tenant).role == "admin"
        assert PlatformOperator.objects.get().user == user
        assert "/sign-in/" in output
        assert "agents.md" in output
        assert PASSWORD not in output
        assert PlatformRecord.objects.filter(action="platform_operator.added").count() == 1

    def test_a_second_run_reports_that_nothing_changed(self, password_file):
        run(*FLAGS, "--password-file", password_file)
        before, hashed = counts(), User.objects.get().password

        output = run(*FLAGS, "--generate-passwords")

        assert output.startswith("Nothing was changed")
        assert counts() == before
        assert User.objects.get().password == hashed

    def test_an_interrupted_run_is_completed(self, password_file, monkeypatch):
        with monkeypatch.context() as patched, pytest.raises(RuntimeError):
            patched.setattr("apps.accounts.bootstrap.add_operator", fail)
            run(*FLAGS, "--password-file", password_file)
        assert counts() == (1, 1, 1, 0)

        output = run(*FLAGS)

        assert counts() == (1, 1, 1, 1)
        assert f"{EMAIL} is a platform operator now." in output

    def test_the_admin_may_be_another_user(self, password_file):
        output = run(
            *FLAGS, "--password-file", password_file, "--admin-email", ADMIN, "--generate-passwords"
        )

        generated = re.search(r"shown only once: (\S+)", output)[1]
        assert signs_in(ADMIN, generated)
        assert signs_in(EMAIL, PASSWORD)
        assert Membership.objects.get().user.email == ADMIN
        assert PlatformOperator.objects.get().user.email == EMAIL
        assert len(generated) >= 20

    @pytest.mark.parametrize(
        "other",
        [
            ("--email", "else@isp.example", "--tenant", "Isla Net"),
            ("--email", EMAIL, "--tenant", "Another"),
            (*FLAGS, "--admin-email", "else@isp.example"),
        ],
    )
    def test_other_names_are_refused_and_nothing_changes(self, password_file, other):
        run(*FLAGS, "--password-file", password_file)
        before = counts()

        with pytest.raises(CommandError, match="Nothing was changed"):
            run(*other, "--generate-passwords")

        assert counts() == before

    def test_a_weak_password_is_refused_and_nothing_is_created(self, tmp_path):
        (tmp_path / "weak").write_text("password1234\n")

        with pytest.raises(CommandError, match="too common"):
            run(*FLAGS, "--password-file", str(tmp_path / "weak"))

        assert counts() == (0, 0, 0, 0)
        assert not Setup.objects.filter(completed_at__isnull=False).exists()

    def test_without_a_terminal_it_names_the_option(self, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.StringIO())

        with pytest.raises(CommandError, match="--password-file"):
            run(*FLAGS)
        with pytest.raises(CommandError, match="--email"):
            run()

    def test_without_the_owner_nothing_is_created(self, password_file, monkeypatch):
        monkeypatch.delitem(settings.DATABASES, "owner")

        with pytest.raises(CommandError, match="DATABASE_OWNER_URL"):
            run(*FLAGS, "--password-file", password_file)

        assert counts() == (0, 0, 0, 0)

    def test_no_option_takes_a_password(self):
        from apps.accounts.management.commands.bootstrap import Command

        parser = Command().create_parser("manage", "bootstrap")
        takes = {word for action in parser._actions for word in action.option_strings}

        assert {word for word in takes if "password" in word} == {
            *("--password-file", "--admin-password-file", "--generate-passwords"),
        }

    def test_two_concurrent_runs_create_one_of_each(self):
        person = NewUser(EMAIL, "Root", PASSWORD)
        start, faults = threading.Barrier(4), []

        def work() -> None:
            from django.db import connections

            start.wait()
            try:
                bootstrap(
                    operator=person,
                    admin=person,
                    tenant_slug="isla",
                    tenant_name="Isla",
                    at=clock.now(),
                )
            except Exception as error:  # shown by the assertion
                faults.append(error)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert faults == []
        assert counts() == (1, 1, 1, 1)
        assert PlatformRecord.objects.filter(action="platform_operator.added").count() == 1


@pytest.mark.real
def test_it_prompts_without_echo():
    """The real command at a pseudo terminal: e-mail, tenant, a password that is too short, then a good one twice."""
    near, far = pty.openpty()
    owner = url_of_this_test().replace(
        f"{settings.DATABASES['default']['USER']}:{settings.DATABASES['default']['PASSWORD']}",
        f"{settings.DATABASES['owner']['USER']}:{settings.DATABASES['owner']['PASSWORD']}",
    )
    process = subprocess.Popen(
        [sys.executable, "manage.py", "bootstrap"],
        cwd=PROJECT,
        stdin=far,
        stdout=far,
        stderr=far,
        start_new_session=True,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "ispvm.settings.server",
            "DATABASE_URL": url_of_this_test(),
            "DATABASE_OWNER_URL": owner,
        },
        preexec_fn=take_terminal,  # noqa: PLW1509  # no other thread is here
    )
    os.close(far)
    terminal = Terminal(near)
    answers = {
        b"platform operator: ": EMAIL,
        b"first tenant: ": "Isla Net",
        f"Password for {EMAIL}: ".encode(): "short",
    }
    for question, answer in answers.items():
        terminal.read_until(question)
        terminal.type(answer)
    terminal.read_until(b"too short")
    terminal.read_until(f"Password for {EMAIL}: ".encode())
    terminal.type(PASSWORD)
    terminal.read_until(b"Confirm password: ")
    terminal.type(PASSWORD)
    terminal.read_until(b"agents.md")
    eventually(lambda: process.poll() is not None)
    os.close(near)

    assert process.returncode == 0
    assert PASSWORD.encode() not in terminal.output
    assert counts() == (1, 1, 1, 1)


def take_terminal() -> None:
    """getpass reads the controlling terminal, which a new session has to take first."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """The master side of a pseudo terminal."""

    def __init__(self, near: int) -> None:
        self._near = near
        self._read = 0
        self.output = bytearray()

    def type(self, line: str) -> None:
        os.write(self._near, f"{line}\n".encode())

    def read_until(self, words: bytes) -> None:
        """Read until this text occurs after the text of the last call; both may arrive in one read."""
        while (found := self.output.find(words, self._read)) < 0:
            self.output += os.read(self._near, 1024)
        self._read = found + len(words)


def fail(**_: object) -> None:
    raise RuntimeError
