from django.core.management.commands import makemessages


class Command(makemessages.Command):
    """Django's own, which also reads ``_lazy``: what is translated when it is shown, not when the module loads."""

    xgettext_options = [*makemessages.Command.xgettext_options, "--keyword=_lazy"]
