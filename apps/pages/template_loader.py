"""Templates without their indentation: it is for readers of the source, and a fifth of a page's bytes."""

import re
from typing import Any

from django.template import Origin
from django.template.loaders.filesystem import Loader as FilesystemLoader

_PREFORMATTED = re.compile(r"(<(pre|textarea)\b.*?</\2>)", re.DOTALL | re.IGNORECASE)
_INDENTATION = re.compile(r"\n\s+")


def strip_indentation(html: str) -> str:
    """Each line of HTML without its indentation, and no empty lines; preformatted text stays as it is.

    The line break itself stays: between two inline elements it is a space, in a script it may end a statement.
    """
    parts = _PREFORMATTED.split(html)
    # Three parts per match: the text before it, the match itself, the name of its element.
    parts[::3] = [_INDENTATION.sub("\n", part) for part in parts[::3]]
    return "".join(part for index, part in enumerate(parts) if index % 3 != 2)  # noqa: PLR2004


class Loader(FilesystemLoader):
    """Loads the templates of the project's folders; strips the indentation of HTML when a template is compiled."""

    def get_contents(self, origin: Origin) -> Any:
        contents = super().get_contents(origin)
        return strip_indentation(contents) if origin.name.endswith(".html") else contents
