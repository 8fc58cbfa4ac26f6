"""Settings of every server process. All errors in the environment are reported together."""

import sys

from ispvm.settings.agents import *
from ispvm.settings.base import *
from ispvm.settings.celery import *
from ispvm.settings.database import *
from ispvm.settings.env import EnvironmentInvalid
from ispvm.settings.integrations import *
from ispvm.settings.logging import *
from ispvm.settings.mail import *
from ispvm.settings.metrics import *
from ispvm.settings.security import *
from ispvm.settings.sign_in import *
from ispvm.settings.web import *

_readers = [
    module.env
    for name, module in sorted(sys.modules.items())
    if name.startswith("ispvm.settings.") and hasattr(module, "env")
]
_faults = sorted({fault for reader in _readers for fault in getattr(reader, "faults", ())})
if _faults:
    raise EnvironmentInvalid("Invalid environment:\n" + "\n".join(_faults))
