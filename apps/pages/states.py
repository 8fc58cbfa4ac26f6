"""States as pages show them: word, colour and icon."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _lazy


@dataclass(frozen=True)
class State:
    """A state with its colour, icon and word."""

    look: str
    icon: str
    word: str | Promise
    #: Lower is worse; lists put the worst first.
    rank: int

    @property
    def is_problem(self) -> bool:
        return self.look in {"critical", "warn", "blind"}


CRITICAL = State("critical", "critical", _lazy("Critical"), 0)
DOWN = State("critical", "critical", _lazy("Down"), 0)
WARN = State("warn", "warn", _lazy("Warning"), 2)
BLIND = State("blind", "blind", _lazy("Blind"), 1)
UNKNOWN = State("unknown", "blind", _lazy("Unknown"), 3)
SUPPRESSED = State("supp", "supp", _lazy("Suppressed"), 4)
INFO = State("info", "info", _lazy("Info"), 5)
OK = State("ok", "ok", _lazy("OK"), 9)
UP = State("ok", "ok", _lazy("Up"), 9)
NONE = State("none", "", _lazy("None here"), 9)
OFF = State("off", "minus", _lazy("Disabled"), 8)

SEVERITIES: Mapping[str, State] = {"critical": CRITICAL, "warn": WARN, "info": INFO}
