#!/usr/bin/env python3
"""Django's command line. `python3 run.py manage ...` runs it with the platform's settings in place."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ispvm.settings.server")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        from apps.tenancy.startup_checks import StartupCheckFailed

        if not isinstance(error, StartupCheckFailed):
            raise
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
