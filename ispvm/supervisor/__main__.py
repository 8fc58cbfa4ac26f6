"""`python -m ispvm.supervisor`: started by `run.py` when the virtual environment is ready."""

import sys

from ispvm.supervisor.commands import main

sys.exit(main(sys.argv[1:]))
