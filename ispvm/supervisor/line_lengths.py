"""The longest line of templates, style sheets and scripts; their formatters do not bound it."""

import sys
from collections.abc import Iterator

from ispvm.supervisor.paths import PROJECT

LONGEST_LINE = 140
PATTERNS = ("templates/**/*.html", "templates/**/*.txt", "static/**/*.css", "static/**/*.js")


def long_lines() -> Iterator[str]:
    """Every line that is too long, as ``path:line: length``."""
    for pattern in PATTERNS:
        for path in sorted(PROJECT.glob(pattern)):
            lines = path.read_text(encoding="utf-8").splitlines()
            for number, line in enumerate(lines, start=1):
                if len(line) > LONGEST_LINE:
                    yield f"{path.relative_to(PROJECT)}:{number}: {len(line)} characters"


if __name__ == "__main__":
    found = list(long_lines())
    print("\n".join(found))
    sys.exit(1 if found else 0)
