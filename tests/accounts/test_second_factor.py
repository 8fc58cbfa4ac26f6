"""Second factors: codes are accepted once, for one user, in one sign-in; recovery codes and reset."""

import re
import threading
import time
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client

from apps.accounts import second_factor, sign_in
from apps.accounts.attempts import ATTEMPTS, CODES_PER_NAME
from apps.accounts.errors import CodeRefused
from apps.accounts.models import User
from apps.audit.models import PlatformRecord
from apps.core import clock
from apps.vault.authenticators import SealedAuthenticators
from apps.vault.errors import SecretUnreadable
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
SIGN_IN, CODE, ACCOUNT = "/sign-in/", "/sign-in/code/", "/account/"
ME = "/api/v1/me/"


def first_step(user, client: Client | None = None, **more) -> Client:
    client = client or Client()
    answer = client.post(SIGN_IN, {"email": user.email, "password": PASSWORD}, **more)
    assert answer.status_code == 302
    return client


def code_at(secret: str, seconds: int = 0) -> str:
    counter = int(time.time() + seconds) // 30
    return totp.format_hotp_value(totp.hotp_value(secret, counter))


def set_up(client: Client) -> tuple[str, list[str]]:
    """Set up an app by the page: key, code, recovery codes."""
    secret = re.search(r'class="secret" dir="ltr">([A-Z2-7]{32})<', _text(client, "authenticator/"))
    answer = client.post(f"{ACCOUNT}authenticator/", {"code": code_at(secret[1], -30)})
    assert answer.status_code == 200
    return secret[1], re.findall(r'dir="ltr">(\d{8})<', answer.content.decode())


def _text(client: Client, path: str) -> str:
    answer = client.get(f"{ACCOUNT}{path}")
    assert answer.status_code == 200, answer
    return answer.content.decode()


@pytest.fixture
def noc(acme_noc):
    """A user with an authenticator app: (user, secret, recovery codes)."""
    secret, codes = set_up(first_step(acme_noc))
    return acme_noc, secret, codes


def is_in(client: Client) -> bool:
    with transaction.atomic():  # a refusal rolls its transaction back: not the test's
        return client.get(ME).status_code == 200


class TestSecondFactor:
    def test_is_required_before_the_session_opens(self, noc):
        client = first_step(noc[0])

        assert not is_in(client)
        assert client.get("/").status_code == 302

    def test_the_apps_code_is_accepted(self, noc):
        client = first_step(noc[0])

        assert client.post(CODE, {"code": code_at(noc[1])}).status_code == 302
        assert is_in(client)

    def test_redirects_to_a_safe_next_url(self, noc):
        client = Client()
        body = {"email": noc[0].email, "password": PASSWORD}
        client.post(f"{SIGN_IN}?next=/agents/", body)
        assert client.post(CODE, {"code": code_at(noc[1])})["Location"] == "/agents/"

        client.post("/sign-out/")
        client.post(f"{SIGN_IN}?next=https://evil.example/", body)
        assert client.post(CODE, {"code": code_at(noc[1], 30)})["Location"] == "/"

    def test_a_code_is_accepted_once(self, noc):
        used = code_at(noc[1])
        first_step(noc[0]).post(CODE, {"code": used})
        other = first_step(noc[0])

        assert other.post(CODE, {"code": used}).status_code == 422
        assert not is_in(other)

    def test_an_older_code_than_the_last_is_refused(self, noc):
        first_step(noc[0]).post(CODE, {"code": code_at(noc[1], 30)})

        assert first_step(noc[0]).post(CODE, {"code": code_at(noc[1])}).status_code == 422

    @pytest.mark.parametrize("seconds", [-90, 90, 3600])
    def test_codes_of_other_times_are_refused(self, noc, seconds):
        assert first_step(noc[0]).post(CODE, {"code": code_at(noc[1], seconds)}).status_code == 422

    @pytest.mark.parametrize(
        "code",
        ["", "000", "x" * 5000, "\uff11\uff12\uff13\uff14\uff15\uff16", "\x00", "-1", "123 456"],
    )
    def test_invalid_input_shows_an_error(self, noc, code):
        answer = first_step(noc[0]).post(CODE, {"code": code})

        assert answer.status_code == 422
        assert "code is wrong" in answer.content.decode()

    def test_requires_the_first_factor(self, noc):
        assert Client().post(CODE, {"code": code_at(noc[1])})["Location"] == SIGN_IN

    def test_expires_after_ten_minutes_pending(self, noc, time_machine):
        client = first_step(noc[0])
        time_machine.move_to(clock.now() + timedelta(minutes=11))

        assert client.post(CODE, {"code": code_at(noc[1])})["Location"] == SIGN_IN

    def test_ends_when_the_password_changes(self, noc):
        client = first_step(noc[0])
        noc[0].set_password("another-correct-horse")
        noc[0].save()

        assert client.post(CODE, {"code": code_at(noc[1])})["Location"] == SIGN_IN

    def test_ends_when_the_user_is_deactivated(self, noc):
        client = first_step(noc[0])
        User.objects.filter(pk=noc[0].pk).update(is_active=False)

        client.post(CODE, {"code": code_at(noc[1])})

        assert not is_in(client)

    def test_another_users_code_is_refused(self, noc, acme_admin):
        secret, _ = set_up(first_step(acme_admin))

        assert first_step(noc[0]).post(CODE, {"code": code_at(secret)}).status_code == 422

    def test_the_session_gets_a_new_key(self, noc):
        client = first_step(noc[0])
        before = client.session.session_key

        client.post(CODE, {"code": code_at(noc[1])})

        assert client.session.session_key != before

    def test_records_the_methods(self, noc):
        first_step(noc[0]).post(CODE, {"code": code_at(noc[1])})

        last = PlatformRecord.objects.filter(action="sign_in.succeeded").latest("sequence")
        assert last.detail["methods"] == ["password", "totp"]


class TestGuessing:
    def test_is_limited_per_address(self, noc):
        client = Client(REMOTE_ADDR="192.0.2.7")
        first_step(noc[0], client)

        statuses = [client.post(CODE, {"code": "000000"}).status_code for _ in range(ATTEMPTS + 1)]

        assert statuses == [422] * ATTEMPTS + [429]

    def test_is_limited_per_name_over_all_addresses(self, noc):
        statuses = []
        for number in range(CODES_PER_NAME.count + 1):
            client = first_step(noc[0], Client(REMOTE_ADDR=f"198.51.100.{number}"))
            statuses.append(client.post(CODE, {"code": "000000"}).status_code)

        assert statuses == [422] * CODES_PER_NAME.count + [429]

    def test_does_not_lock_the_operator_out_of_their_own_browser(self, noc):
        own = first_step(noc[0])
        own.post(CODE, {"code": code_at(noc[1])})
        own.post("/sign-out/")
        for number in range(CODES_PER_NAME.count + 5):
            thief = first_step(noc[0], Client(REMOTE_ADDR=f"198.51.100.{number}"))
            thief.post(CODE, {"code": "000000"})

        first_step(noc[0], own)
        assert own.post(CODE, {"code": code_at(noc[1], 30)}).status_code == 302


class TestRecoveryCodes:
    def test_ten_are_shown_once(self, noc):
        assert len(set(noc[2])) == 10
        client = first_step(noc[0])
        client.post(CODE, {"code": code_at(noc[1])})
        assert not [code for code in noc[2] if code in _text(client, "")]

    def test_each_is_accepted_once(self, noc):
        client = first_step(noc[0])
        assert client.post(CODE, {"code": noc[2][3]}).status_code == 302
        assert is_in(client)
        assert "9 recovery codes left" in _text(client, "")

        assert first_step(noc[0]).post(CODE, {"code": noc[2][3]}).status_code == 422

    def test_new_ones_replace_the_old(self, noc):
        client = first_step(noc[0])
        client.post(CODE, {"code": code_at(noc[1])})
        content = client.post(f"{ACCOUNT}recovery-codes/").content.decode()
        codes = re.findall(r'dir="ltr">(\d{8})<', content)

        assert len(codes) == 10
        assert first_step(noc[0]).post(CODE, {"code": noc[2][0]}).status_code == 422
        assert first_step(noc[0]).post(CODE, {"code": codes[0]}).status_code == 302

    def test_are_removed_with_the_last_factor(self, noc):
        client = first_step(noc[0])
        client.post(CODE, {"code": code_at(noc[1])})
        client.post(f"{ACCOUNT}authenticator/remove/")

        assert not Authenticator.objects.filter(user=noc[0]).exists()
        assert is_in(first_step(noc[0]))


class TestAtRest:
    def test_no_secret_is_readable_in_the_database(self, noc):
        with connection.cursor() as cursor:
            cursor.execute("SELECT data::text FROM mfa_authenticator")
            stored = " ".join(row[0] for row in cursor.fetchall())

        assert noc[1] not in stored
        assert not [code for code in noc[2] if code in stored]

    def test_a_pending_secret_is_encrypted(self, acme_noc):
        client = first_step(acme_noc)
        text = _text(client, "authenticator/")
        secret = re.search(r'dir="ltr">([A-Z2-7]{32})<', text)[1]

        assert secret not in str(dict(client.session.items()))

    def test_a_secret_moved_to_another_user_is_refused(self, noc, acme_admin):
        row = Authenticator.objects.get(user=noc[0], type="totp")
        Authenticator.objects.create(user=acme_admin, type="totp", data=row.data)

        with pytest.raises(SecretUnreadable):
            second_factor.verify_code(acme_admin, code_at(noc[1]), at=clock.now())

    @pytest.mark.parametrize("text", ["", "x", "!!", "AAAA", "ÿ"])
    def test_an_unencrypted_secret_is_refused(self, acme_noc, text):
        with second_factor.secrets_of(acme_noc), pytest.raises(SecretUnreadable):
            SealedAuthenticators().decrypt(text)

    def test_nothing_is_encrypted_without_a_user(self):
        with pytest.raises(RuntimeError):
            SealedAuthenticators().encrypt("x")


@pytest.mark.django_db(transaction=True)
def test_of_twenty_concurrent_uses_of_one_code_one_succeeds(noc):
    code, won, now = code_at(noc[1]), [], clock.now()

    def spend() -> None:
        try:
            won.append(second_factor.verify_code(noc[0], code, at=now))
        except CodeRefused:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=spend) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert won == ["totp"]


def test_a_pending_sign_in_is_not_listed_as_a_session(noc):
    client = first_step(noc[0])

    assert sign_in.PENDING in client.session
    assert "_auth_user_id" not in client.session


class TestReset:
    def test_removes_all_factors_and_ends_the_sessions(self, noc, capsys):
        client = first_step(noc[0])
        client.post(CODE, {"code": code_at(noc[1])})

        call_command("reset_second_factors", noc[0].email.upper())

        assert "1 factors removed, 2 sessions ended" in capsys.readouterr().out
        assert not is_in(client)
        assert is_in(first_step(noc[0]))
        assert PlatformRecord.objects.filter(action="second_factor.reset").count() == 1

    def test_without_an_account_fails(self, db):
        with pytest.raises(CommandError, match="No "):
            call_command("reset_second_factors", "nobody@acme.example")
