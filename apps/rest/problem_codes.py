"""Every ``code`` that a REST answer may carry, gathered from the classes that raise them."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pkgutil import walk_packages

import apps
from apps.core.errors import DomainError

#: What Django REST framework and the edge of the application answer by themselves.
OF_THE_FRAME = {
    "invalid": (400, "A parameter or field cannot be used. `errors` names each, with a code of its own."),
    "parse_error": (400, "The body is not JSON, or holds a number or character that cannot be kept."),
    "malformed": (400, "The request cannot be read: an unknown Host, too many fields."),
    "not_authenticated": (401, "There is no token and no session."),
    "bad_token": (401, "The token is unknown, expired or revoked."),
    "no_tenant": (401, "The session is bound to no tenant of its person, or the named tenant is not theirs."),
    "permission_denied": (403, "The role, the token's scopes or the grant do not allow it; or no CSRF token came."),
    "outside_grant": (403, "The caller is limited, and this shows more than what was granted."),
    "not_found": (404, "Absent, or not visible to the caller: the two look alike. Or there is no such path."),
    "method_not_allowed": (405, "`Allow` names the methods that there are."),
    "not_acceptable": (406, "Answers are `application/json`; `Accept` asks for something else alone."),
    "unsupported_media_type": (415, "Bodies are `application/json`."),
    "internal": (500, "A fault of ours. Nothing was changed; tell us the answer's `X-Request-ID`."),
    "unavailable": (503, "The database is away. Nothing was changed; `Retry-After` says when to ask again."),
}  # fmt: skip
#: Apps whose errors never reach REST: agents speak to a listener of their own (docs of the ingest contract).
ELSEWHERE = ("apps.ingest",)
HEAD = """# Problem codes of the REST API

Every refusal is `application/problem+json` (RFC 9457): `type`, `title`, `status`, `code`, `detail`, and for faults of
a request `errors` with `field`, `code` and `detail`. `code` is stable and for programs; `detail` is for people and may
change. This page is made by `python3 run.py manage problem_codes`; a test compares it with the code.

| code | status | when |
|---|---|---|
"""


@dataclass(frozen=True, order=True)
class Entry:
    code: str
    status: int
    when: str


def entries() -> list[Entry]:
    """All codes, sorted; one line per code and status."""
    found = {Entry(code, status, when) for code, (status, when) in OF_THE_FRAME.items()}
    known = {(entry.code, entry.status) for entry in found}
    meanings: dict[tuple[str, int], set[str]] = {}
    for error in domain_errors():
        text = " ".join((error.__doc__ or "").split()).replace("``", "`")
        meanings.setdefault((error.default_code, error.status), set()).add(text)
    found |= {
        Entry(*key, " / ".join(sorted(texts)))
        for key, texts in meanings.items()
        if key not in known
    }
    return sorted(found)


def domain_errors() -> Iterator[type[DomainError]]:
    """Every class that an installed module defines."""
    for module in walk_packages(apps.__path__, "apps."):
        if ".migrations" not in module.name and ".management" not in module.name:
            import_module(module.name)
    waiting = [DomainError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        is_ours = error.__module__.startswith("apps.")
        if error is not DomainError and is_ours and not error.__module__.startswith(ELSEWHERE):
            yield error


def page() -> str:
    """docs/problems.md."""
    rows = [f"| `{e.code}` | {e.status} | {e.when} |\n" for e in entries()]
    return HEAD + "".join(rows)
