"""Removal of secrets from log lines. Pure.

No code logs secrets on purpose; this is a safety net: fields by name, and by pattern whatever a library
puts into a message or a traceback.
"""

import re
from collections.abc import MutableMapping
from typing import Any

HIDDEN = "[hidden]"

_SECRET_NAME = re.compile(
    r"passw|secret|token|authorization|cookie|credential|private_?key|master_?key|api_?key|signature",
    re.IGNORECASE,
)
_PATTERNS = (
    # Credentials in a URL; an authorization header; our own tokens and webhook secrets; a private key.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@\"']*:)[^\s/@\"']+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\bispvm_[A-Za-z0-9_-]{43}"), HIDDEN),
    (re.compile(r"\bispvm1\.[A-Za-z0-9_-]{20,}"), HIDDEN),
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=]{8,}"), HIDDEN),
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL
        ),
        HIDDEN,
    ),
    (
        re.compile(r"(?i)\b(password|passwd|secret|token)(\s*[=:]\s*)[^\s,;&\"'}{\\]+"),
        rf"\1\2{HIDDEN}",
    ),
)


def hide_fields(
    _logger: Any, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: hides values of fields whose names indicate secrets."""
    for name, value in fields.items():
        fields[name] = _without(name, value)
    return fields


def _without(name: object, value: Any) -> Any:
    if isinstance(name, str) and _SECRET_NAME.search(name):
        return HIDDEN
    if isinstance(value, dict):
        return {inner: _without(inner, part) for inner, part in value.items()}
    return value


def hide_patterns(_logger: Any, _method: str, line: str) -> str:
    """The last processor: hides secrets by pattern anywhere in the line."""
    for pattern, replacement in _PATTERNS:
        line = pattern.sub(replacement, line)
    return line
