"""What requests need is imported before there are threads.

Django imports the URLs, and with them the views and their C extensions, at the first request: in a thread, while others
do the same. Two threads that import modules that import each other see them half made, or wait for each other.
"""

import codecs

from django.urls import URLResolver, get_resolver

#: Python imports each codec when it is first asked for.
CODECS = (
    *("ascii", "latin-1", "utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "idna", "punycode"),
    *("unicode_escape", "raw_unicode_escape", "charmap", "hex", "base64"),
)


def load_before_threads() -> int:
    """Import codecs, URLs and views; returns how many URLs there are."""
    for name in CODECS:
        codecs.lookup(name)
    return _load(get_resolver())


def _load(resolver: URLResolver) -> int:
    return sum(
        _load(pattern) if isinstance(pattern, URLResolver) else 1
        for pattern in resolver.url_patterns
    )
