from django.core.management.commands import makemessages


class Command(makemessages.Command):
    """Django's command with the additional keyword ``_lazy`` (``gettext_lazy``)."""

    xgettext_options = [*makemessages.Command.xgettext_options, "--keyword=_lazy"]
