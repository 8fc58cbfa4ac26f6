"""`python -m ispvm.supervisor`: what `run.py` hands over to once the virtual environment is there."""

import sys

from ispvm.supervisor.commands import main

sys.exit(main(sys.argv[1:]))
