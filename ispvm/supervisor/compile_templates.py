"""Compiles every template to find syntax errors."""

import sys
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template


def template_folders() -> list[str]:
    engines: list[dict[str, Any]] = settings.TEMPLATES
    return [folder for engine in engines for folder in engine["DIRS"]]


def main() -> int:
    django.setup()
    errors = 0
    compiled = 0
    for folder in (Path(path) for path in template_folders()):
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or path.name.startswith("."):
                continue
            try:
                get_template(path.relative_to(folder).as_posix())
                compiled += 1
            except (TemplateSyntaxError, TemplateDoesNotExist) as error:
                errors += 1
                print(f"{path}: {error}")
    print(f"{compiled} templates compiled, {errors} errors.")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
