"""A page request after authentication."""

from collections.abc import Callable

from django.http import HttpRequest

from apps.authorization.access import Access
from apps.core.admission import Admission
from apps.core.errors import Forbidden

#: Seconds that one database query of a page may take.
PAGE_SECONDS = 10


class TenantHttpRequest(HttpRequest):
    """A request behind the tenant middleware."""

    #: None without a tenant, or without a user.
    access: Access | None
    #: Why ``access`` is None, for a user who is signed in.
    access_error: Callable[[], Forbidden]
    admission: Admission
