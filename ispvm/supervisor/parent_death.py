"""Executes a program that is ended together with its supervisor. Run as a script:

    python -I -S parent_death.py SUPERVISOR_PID SIGNAL UID:GID|- PROGRAM ARGUMENTS...

Linux sends SIGNAL (PR_SET_PDEATHSIG) when the supervisor's thread that started this ends, even by SIGKILL.
Privileges are dropped here, not in the supervisor, because changing the account clears the setting.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    supervisor, number, account, *command = arguments
    if account != "-":
        uid, gid = (int(word) for word in account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
    if os.getppid() != int(supervisor):  # the supervisor died before prctl
        return 1
    try:
        os.execv(command[0], command)
    except OSError as error:
        print(f"{command[0]} cannot be started: {error.strerror}.", file=sys.stderr)
    return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
