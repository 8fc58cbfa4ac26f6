"""`python -m agent.simulator`."""

import sys

from agent.simulator.cli import main

sys.exit(main())
