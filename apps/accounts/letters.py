"""What accounts writes to people by mail: invitations and password resets."""

from datetime import datetime

from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from apps.accounts import invitations, resetting
from apps.accounts.errors import InvitationUnusable
from apps.accounts.models import Invitation
from apps.mail.choices import MailState
from apps.mail.kinds import Letter, register
from apps.mail.models import Message
from apps.mail.sending import one_line
from apps.tenancy import acting_in

LONGEST_NAME = 80


def register_letters() -> None:
    """Called once, when apps start."""
    register(invitations.MAIL_KIND, compose_invitation, settled=note_mail_state)
    register(resetting.MAIL_KIND, compose_reset)


def compose_invitation(message: Message, at: datetime) -> Letter | None:
    """None when the invitation was revoked, answered or expired meanwhile."""
    if message.tenant_id is None or message.ref is None:
        return None
    try:
        tenant, invitation = invitations.open_invitation(message.tenant_id, message.ref, at)
    except InvitationUnusable:
        return None
    with acting_in(tenant):
        link = invitations.link_of(invitations.mail_key(invitation))
    name = one_line(tenant.name)[:LONGEST_NAME]
    context = {"tenant": name, "invitation": invitation, "link": link}
    return _letter(
        invitation.email, _("Invitation to %(name)s") % {"name": name}, "invitation", context
    )


def note_mail_state(message: Message) -> None:
    """The admin sees whether the mail went out."""
    if message.tenant_id is None or message.ref is None:
        return
    with acting_in(message.tenant_id):
        Invitation.objects.filter(pk=message.ref).exclude(mail_state="").update(
            mail_state=MailState(message.state)
        )


def compose_reset(message: Message, at: datetime) -> Letter | None:
    """None when nobody here has the address."""
    user = resetting.recipient_of(message, at)
    if user is None:
        return None
    context = {
        "link": resetting.reset_link(user, way=resetting.BY_MAIL),
        "minutes": int(resetting.LIFETIME.total_seconds() // 60),
    }
    return _letter(user.address, _("Reset your password"), "password_reset", context)


def _letter(to: str, subject: str, template: str, context: dict[str, object]) -> Letter:
    return Letter(
        to=to,
        subject=subject,
        text=render_to_string(f"mail/{template}.txt", context),
        html=render_to_string(f"mail/{template}.html", context),
    )
