"""The rotation process of the kill test: starts Django once, then forks one child per request, which runs the command.

A request is a line ``COMMAND ARGUMENTS... | MASTER KEY FILE | PREVIOUS FILE``; the response is the child's pid. A
second line follows when the child has exited: its pid and its exit code.
"""

import io
import os
import sys
import threading


def main() -> None:
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    write_line("ready")
    for line in sys.stdin:
        command, master, previous = (part.strip() for part in line.split("|"))
        child = os.fork()
        if child == 0:
            settings.ISPVM_MASTER_KEY_FILE = master
            settings.ISPVM_MASTER_KEY_PREVIOUS_FILE = previous
            call_command(*command.split(), stdout=io.StringIO())
            os._exit(0)
        write_line(child)
        threading.Thread(target=wait_for, args=[child]).start()


def write_line(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def wait_for(child: int) -> None:
    _, status = os.waitpid(child, 0)
    write_line(child, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
