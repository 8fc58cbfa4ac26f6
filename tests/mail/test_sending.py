"""Mail to a real SMTP server: sent at least once, only to the recipient, whatever the server replies."""

from datetime import timedelta
from smtplib import SMTPAuthenticationError
from uuid import UUID

import pytest
from django.core import mail as outbox

from apps.accounts import invitations
from apps.accounts.models import Invitation
from apps.core import clock
from apps.events import due
from apps.events.models import Due
from apps.mail import sending
from apps.mail.backend import SmtpBackend
from apps.mail.choices import MailState
from apps.mail.models import Message
from apps.mail.services import SEND, queue_mail
from apps.mail.tasks import send
from apps.tenancy import acting_in
from tests.inventory.factories import ACTOR

pytestmark = pytest.mark.django_db

ADDRESS = "new@elsewhere.example"


def invite(tenant, email: str = ADDRESS) -> Message:
    with acting_in(tenant):
        invitations.invite(email=email, role="noc", is_limited=False, actor=ACTOR, at=clock.now())
    return Message.objects.latest("created_at")


def run(message: Message) -> Message:
    """What the worker does when the due table wakes it up."""
    send(tenant_id=str(message.tenant_id), ref=str(message.pk))
    message.refresh_from_db()
    return message


def is_scheduled(message: Message) -> bool:
    return Due.objects.filter(kind=SEND, ref=str(message.pk)).exists()


class TestSent:
    def test_over_tls_with_the_login_and_both_bodies(self, acme, smtp):
        message = run(invite(acme))

        assert message.state == MailState.SENT
        assert smtp.logins == [("visualmonitor", True)], "no login before STARTTLS"
        (mail,) = smtp.received
        assert mail["X-Over-TLS"] == "True"
        assert mail["To"] == mail["X-Envelope-To"] == ADDRESS
        assert mail["From"] == "ISP Monitor <monitor@isp.example>"
        assert mail["Subject"] == "Invitation to Acme Net"
        assert mail["Message-ID"] == f"<{message.pk}@127.0.0.1>"
        assert mail["Auto-Submitted"] == "auto-generated"
        assert smtp.link().startswith("http://127.0.0.1:8000/invitation/?key=")
        assert f'href="{smtp.link()}"' in smtp.html_of()
        assert not is_scheduled(message)

    def test_once(self, acme, smtp):
        message = run(invite(acme))

        run(message)
        run(message)

        assert len(smtp.received) == 1

    def test_the_invitation_shows_the_mail_state(self, acme, smtp):
        message = invite(acme)
        with acting_in(acme):
            assert Invitation.objects.get().mail_state == "queued"

        run(message)

        with acting_in(acme):
            assert Invitation.objects.get().mail_state == "sent"

    def test_the_secret_is_not_stored(self, acme, smtp):
        message = run(invite(acme))

        secret = smtp.link().partition("?key=")[2].partition(".")[2]
        with acting_in(acme):
            stored = str(list(Invitation.objects.values())) + str(list(Message.objects.values()))
        assert secret not in stored
        assert secret.encode().hex() not in stored
        assert message.address == ""


class TestHostileText:
    @pytest.mark.parametrize(
        "evil", ["Acme\r\nBcc: spy@evil.example", "A\nB: c", "A\rX: y\r\n\r\nhi"]
    )
    def test_a_tenants_name_adds_no_header(self, acme, smtp, evil):
        acme.name = evil
        acme.save()

        run(invite(acme))

        (mail,) = smtp.received
        assert mail["Bcc"] is None
        assert mail["B"] is None
        assert mail["X"] is None
        assert mail["X-Envelope-To"] == ADDRESS

    def test_a_tenants_name_is_text_in_the_html(self, acme, smtp):
        acme.name = "<a href='https://evil.example'>click</a>"
        acme.save()

        run(invite(acme))

        assert "<a href='https://evil" not in smtp.html_of()
        assert "&lt;a href" in smtp.html_of()

    def test_the_host_of_a_request_is_not_in_the_link(self, acme, acme_admin, smtp, settings):
        from tests.clients import bearer

        settings.ALLOWED_HOSTS = ["*"]
        admin = bearer(acme, acme_admin)
        body = {"email": ADDRESS, "role": "noc"}
        answer = admin.post("/api/v1/invitations/", body, headers={"Host": "evil.example"})
        assert answer.status_code == 201

        run(Message.objects.get())

        assert smtp.link().startswith("http://127.0.0.1:8000/")

    def test_language_is_that_of_the_inviter(self, acme, smtp):
        from django.utils import translation

        with translation.override("ar"):
            message = invite(acme)

        run(message)

        assert 'dir="rtl"' in smtp.html_of()


class TestRefused:
    @pytest.mark.parametrize(
        ("step", "reply", "error"),
        [
            ("RCPT", "450 4.2.1 mailbox busy", "recipient_refused 450"),
            ("RCPT", "421 4.3.2 going down", "recipient_refused 421"),
            ("DATA", "451 4.3.0 try later", "message_refused 451"),
            ("DATA", "452 4.3.1 no room", "message_refused 452"),
        ],
    )
    def test_temporary_failures_are_retried(self, acme, smtp, step, reply, error, time_machine):
        at = clock.now()
        smtp.answers = [(step, reply)]
        message = run(invite(acme))

        assert (message.state, message.error) == (MailState.QUEUED, error)
        assert is_scheduled(message)
        run(message)
        assert smtp.received == [], "not before its time"
        time_machine.move_to(at + timedelta(minutes=1))
        assert run(message).state == MailState.SENT

    @pytest.mark.parametrize(
        ("step", "reply", "error"),
        [
            ("RCPT", "550 5.1.1 no such user", "recipient_refused 550"),
            ("RCPT", "553 5.1.3 bad address", "recipient_refused 553"),
            ("DATA", "554 5.7.1 spam", "message_refused 554"),
        ],
    )
    def test_permanent_failures_are_not_retried(self, acme, smtp, step, reply, error):
        smtp.answers = [(step, reply)]

        message = run(invite(acme))

        assert (message.state, message.error) == (MailState.FAILED, error)
        assert not is_scheduled(message)
        with acting_in(acme):
            assert Invitation.objects.get().mail_state == "failed"

    def test_a_refused_login_is_retried(self, acme, smtp, settings, time_machine):
        at = clock.now()
        settings.EMAIL_HOST_PASSWORD = "wrong"
        message = run(invite(acme))
        assert (message.state, message.error) == (MailState.QUEUED, "login_refused 535")

        settings.EMAIL_HOST_PASSWORD = "of-the-mail-server"
        time_machine.move_to(at + timedelta(minutes=1))
        assert run(message).state == MailState.SENT

    def test_a_refused_login_leaves_no_connection_open(self, smtp, settings):
        settings.EMAIL_HOST_PASSWORD = "wrong"
        backend = SmtpBackend()

        with pytest.raises(SMTPAuthenticationError):
            backend.open()

        assert (backend.connection, backend._partial_connection) == (None, None)

    def test_an_untrusted_certificate_gets_neither_login_nor_mail(self, acme, smtp, settings):
        settings.ISPVM_SMTP_CA_FILE = ""

        message = run(invite(acme))

        assert message.state == MailState.QUEUED
        assert message.error.startswith("no_connection SSL")
        assert (smtp.logins, smtp.received) == ([], [])

    def test_an_unreachable_server_is_retried_until_the_maximum(
        self, acme, smtp, settings, time_machine
    ):
        at = clock.now()
        settings.EMAIL_PORT = 9
        message = invite(acme)
        waits = []
        for _ in range(sending.MAX_ATTEMPTS):
            before = message.next_attempt_at
            run(message)
            waits.append(message.next_attempt_at - before)
            time_machine.move_to(message.next_attempt_at)

        assert message.state == MailState.FAILED
        assert message.attempts == sending.MAX_ATTEMPTS
        assert max(waits) <= sending.MAX_BACKOFF + timedelta(minutes=1)
        assert message.next_attempt_at - at < timedelta(days=2)


class TestKilled:
    """A worker may die at any moment; another takes over when the lease has ended."""

    def test_before_sending(self, acme, smtp, time_machine):
        message, at = invite(acme), clock.now()
        assert sending._claim(message.pk, at) is not None  # and killed

        run(message)
        assert smtp.received == [], "the first worker may still be at it"
        assert is_scheduled(message)

        time_machine.move_to(at + sending.LEASE + timedelta(seconds=1))
        assert run(message).state == MailState.SENT

    def test_after_the_server_accepted_it(self, acme, smtp, monkeypatch, time_machine):
        message, at = invite(acme), clock.now()

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(sending, "_finish", die)
            with pytest.raises(KeyboardInterrupt):
                run(message)
        time_machine.move_to(at + sending.LEASE + timedelta(seconds=1))
        run(message)

        first, second = smtp.received
        assert first["Message-ID"] == second["Message-ID"], "mail programs show it once"
        assert smtp.link(0) == smtp.link(1)

    def test_a_lost_task_is_repeated(self, acme, smtp, monkeypatch):
        message = invite(acme)
        woken = []
        monkeypatch.setattr("apps.events.jobs.send", lambda name, **ids: woken.append((name, ids)))

        due.run_due(at=clock.now() + timedelta(seconds=1))

        assert ("mail.send", {"tenant_id": str(acme.pk), "ref": str(message.pk)}) in woken


class TestDropped:
    def test_when_the_invitation_was_revoked_meanwhile(self, acme, smtp):
        message = invite(acme)
        with acting_in(acme):
            invitation = Invitation.objects.get()
            invitations.revoke_invitation(invitation=invitation, actor=ACTOR, at=clock.now())

        assert run(message).state == MailState.DROPPED
        assert smtp.received == []

    def test_of_an_unknown_kind(self, smtp):
        message = queue_mail(kind="from.tomorrow", at=clock.now(), ref=UUID(int=1))

        assert run(message).state == MailState.DROPPED

    def test_nothing_is_sent_of_a_transaction_that_rolled_back(self, acme, smtp):
        from django.db import transaction

        class Undone(Exception):
            pass

        with pytest.raises(Undone), transaction.atomic():
            invite(acme)
            raise Undone

        assert not Message.objects.exists()
        assert not Due.objects.filter(kind=SEND).exists()


def test_without_mail_nothing_is_queued(acme, settings):
    settings.ISPVM_MAIL_CONFIGURED = False
    with acting_in(acme):
        _, key = invitations.invite(
            email=ADDRESS, role="noc", is_limited=False, actor=ACTOR, at=clock.now()
        )

    assert key
    assert not Message.objects.exists()
    assert outbox.outbox == []
