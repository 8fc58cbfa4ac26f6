"""Texts that are stored as a code with parameters and rendered in the reader's language.

An app registers its catalogue (code -> lazily translated template with named placeholders) in ``AppConfig.ready``. What
is stored, hashed and sent to programs is the code and its parameters; ``render`` makes the sentence for one reader.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, cast

from django.utils.functional import Promise
from django.utils.translation import get_language_bidi, override

#: ``gettext_lazy("%(name)s is down")``, or ``ngettext_lazy(..., ..., "n")`` where ``n`` is one of the parameters.
Template = str | Promise

#: First strong isolate and its end: a name keeps its own direction and does not reorder the sentence around it.
FSI, PDI = "\u2068", "\u2069"
#: Characters that may reorder what stands beside them: right-to-left scripts and directional controls.
_RTL_RANGES = (
    *(("\u0590", "\u08ff"), ("\u200e", "\u200f"), ("\u202a", "\u202e"), ("\u2066", "\u2069")),
    *(("\ufb1d", "\ufdff"), ("\ufe70", "\ufeff"), ("\U00010800", "\U00010fff")),
    ("\U0001e800", "\U0001efff"),
)

#: Raised when template and parameters do not match; the warning: a plural chosen by a fraction.
_MISFITS = (KeyError, TypeError, ValueError, IndexError, OverflowError, DeprecationWarning)

_templates: dict[str, Template] = {}


@dataclass(frozen=True, slots=True)
class Message:
    """A code and its typed parameters; a parameter may be a message itself. Equal by content, hashable."""

    code: str
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return render(self.code, self.params)

    @property
    def english(self) -> str:
        """The text for programs, search and logs, whoever reads."""
        return render_english(self.code, self.params)

    @property
    def plain_params(self) -> dict[str, Any]:
        """The parameters as JSON."""
        return {name: _as_json(value) for name, value in self.params.items()}

    def as_document(self) -> dict[str, Any]:
        return {"code": self.code, "params": self.plain_params}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """The message that ``as_document`` described."""
        params = document.get("params") or {}
        return cls(str(document["code"]), {name: _from_json(v) for name, v in params.items()})


def register(catalog: Mapping[str, Template]) -> None:
    """Add an app's templates. Raises ValueError for a code that another template has already."""
    for code, template in catalog.items():
        if _templates.get(code, template) is not template:
            raise ValueError(f"Two templates for the message code {code}.")
        _templates[code] = template


def registered_codes() -> frozenset[str]:
    return frozenset(_templates)


def render(code: str, params: Mapping[str, Any]) -> str:
    """The text in the active language, names isolated where they could reorder it. Never raises: a code or a parameter
    that is missing shows the code with its parameters."""
    return _render(code, params, is_plain=False)


def render_english(code: str, params: Mapping[str, Any]) -> str:
    """The text in English, without isolates."""
    with override(None):
        return _render(code, params, is_plain=True)


def _render(code: str, params: Mapping[str, Any], *, is_plain: bool) -> str:
    template = _templates.get(code)
    if template is None:
        return _fallback(code, params)
    try:
        return _fill(template, params, is_plain=is_plain)
    except _MISFITS:
        pass
    # A translation with a wrong placeholder must not hide the text from its readers.
    with override(None):
        try:
            return _fill(template, params, is_plain=is_plain)
        except _MISFITS:
            return _fallback(code, params)


def _fill(template: Template, params: Mapping[str, Any], *, is_plain: bool) -> str:
    isolates_all = not is_plain and get_language_bidi()
    values = {}
    for name, param in params.items():
        value = _from_json(param)
        if isinstance(value, Message):
            value = _render(value.code, value.params, is_plain=is_plain)
        elif isinstance(value, str) and not is_plain and (isolates_all or _may_reorder(value)):
            value = f"{FSI}{value}{PDI}"
        values[name] = value
    # Not str(template) first: a plural picks its form by the number among the values.
    return str(cast(Any, template) % values)


def _may_reorder(text: str) -> bool:
    return any(first <= char <= last for char in text for first, last in _RTL_RANGES)


def _fallback(code: str, params: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{name}={_from_json(value)}" for name, value in sorted(params.items()))
    return f"{code} ({shown})" if shown else code


def _as_json(value: object) -> object:
    """JSON that PostgreSQL can store: without NUL characters, NaN and infinity."""
    if isinstance(value, Message):
        return value.as_document()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value).replace("\x00", "")


def _from_json(value: object) -> object:
    if isinstance(value, dict) and value.keys() == {"code", "params"}:
        return Message.from_document(value)
    return value
