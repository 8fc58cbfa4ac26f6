"""Text without case and accents, for search: ``sao joao`` finds ``São João``, ``GIESSEN`` ``Gießen``."""

from typing import Any

from django.db.models import F, Func, TextField
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast

#: Letters that Unicode does not decompose, and what people type for them.
_SINGLE = {"ø": "o", "Ø": "o", "ł": "l", "Ł": "l", "đ": "d", "Đ": "d", "ð": "d", "Ð": "d"}
_SINGLE |= {"\N{LATIN SMALL LETTER DOTLESS I}": "i"}
_DOUBLE = {"ß": "ss", "ẞ": "ss", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "þ": "th", "Þ": "th"}


def _template() -> str:
    text = "regexp_replace(normalize(%(expressions)s, NFKD), '[\\u0300-\\u036f]', '', 'g')"
    text = f"translate({text}, '{''.join(_SINGLE)}', '{''.join(_SINGLE.values())}')"
    for letter, letters in _DOUBLE.items():
        text = f"replace({text}, '{letter}', '{letters}')"
    return f"lower({text})"


class Folded(Func):
    """A text in this form, of a column or of an expression. PostgreSQL decomposes only what is encoded in UTF-8."""

    template = _template()
    output_field = TextField()

    def __init__(self, expression: str | Combinable, **extra: Any) -> None:
        source = F(expression) if isinstance(expression, str) else expression
        super().__init__(Cast(source, TextField()), **extra)
