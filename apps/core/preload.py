"""Imports modules before threads are started.

Django imports URLs, views and their C extensions at the first request, in a worker thread. Threads that import
modules with circular imports concurrently can see partly initialized modules or deadlock.
"""

import codecs

from django.urls import URLResolver, get_resolver

#: Python imports each codec at its first use.
CODECS = (
    *("ascii", "latin-1", "utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "idna", "punycode"),
    *("unicode_escape", "raw_unicode_escape", "charmap", "hex", "base64"),
)


def load_before_threads() -> int:
    """Import codecs, URLs and views; returns the number of URLs."""
    for name in CODECS:
        codecs.lookup(name)
    return _load(get_resolver())


def _load(resolver: URLResolver) -> int:
    return sum(
        _load(pattern) if isinstance(pattern, URLResolver) else 1
        for pattern in resolver.url_patterns
    )
