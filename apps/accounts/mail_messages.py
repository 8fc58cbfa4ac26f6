"""Mail of accounts: invitations and password resets."""

from datetime import datetime

from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from apps.accounts import invitations, password_reset
from apps.accounts.errors import InvitationUnusable
from apps.accounts.models import Invitation
from apps.mail.choices import MailState
from apps.mail.kinds import MailContent, register
from apps.mail.models import Message
from apps.mail.sending import one_line
from apps.tenancy import acting_in

MAX_NAME_LENGTH = 80


def register_mail_kinds() -> None:
    """Called once, when apps start."""
    register(invitations.MAIL_KIND, compose_invitation, on_finished=store_mail_state)
    register(password_reset.MAIL_KIND, compose_reset)


def compose_invitation(message: Message, at: datetime) -> MailContent | None:
    """None when the invitation is no longer open."""
    if message.tenant_id is None or message.ref is None:
        return None
    try:
        tenant, invitation = invitations.open_invitation(message.tenant_id, message.ref, at)
    except InvitationUnusable:
        return None
    with acting_in(tenant):
        link = invitations.invitation_link(invitations.mail_key(invitation))
    name = one_line(tenant.name)[:MAX_NAME_LENGTH]
    context = {"tenant": name, "invitation": invitation, "link": link}
    return _render(
        invitation.email, _("Invitation to %(name)s") % {"name": name}, "invitation", context
    )


def store_mail_state(message: Message) -> None:
    """Copy the state of the mail to the invitation, where the admin sees it."""
    if message.tenant_id is None or message.ref is None:
        return
    with acting_in(message.tenant_id):
        Invitation.objects.filter(pk=message.ref).exclude(mail_state="").update(
            mail_state=MailState(message.state)
        )


def compose_reset(message: Message, at: datetime) -> MailContent | None:
    """None when no account has the address."""
    user = password_reset.recipient_of(message, at)
    if user is None:
        return None
    context = {
        "link": password_reset.password_reset_link(user, channel=password_reset.BY_MAIL),
        "minutes": int(password_reset.LIFETIME.total_seconds() // 60),
    }
    return _render(user.address, _("Reset your password"), "password_reset", context)


def _render(to: str, subject: str, template: str, context: dict[str, object]) -> MailContent:
    return MailContent(
        to=to,
        subject=subject,
        text=render_to_string(f"mail/{template}.txt", context),
        html=render_to_string(f"mail/{template}.html", context),
    )
