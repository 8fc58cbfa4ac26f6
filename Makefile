# Aliases for those who have make; `python3 run.py --help` explains them.
.PHONY: help setup demo test check lock
help:
	@python3 run.py --help
setup demo test check lock:
	@python3 run.py $@
