"""Counts a request against its tenant until its response has been sent."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.core.admission.repeats import RecentRefusals
from apps.core.admission.request import REFUSED, Admission
from apps.core.web import refused

REFUSALS = RecentRefusals()


class AdmissionMiddleware:
    """Gives each request an ``admission``. Must be outside of all middleware that may replace the response.

    ``accounts`` calls ``enter`` when the tenant is known.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if (repeated := REFUSALS.find(request)) is not None:
            REFUSED.labels("repeated").inc()
            return refused(request, repeated)
        admission = request.admission = Admission()  # type: ignore[attr-defined]  # set here
        try:
            response = self.get_response(request)
        except BaseException:
            admission.leave()
            raise
        if admission.refusal is not None:
            REFUSALS.add(request, admission.refusal)
        close = response.close

        def close_and_leave() -> None:
            try:
                close()
            finally:
                admission.leave()

        # A streamed response still uses the database, and a slow client still holds the thread.
        response.close = close_and_leave  # type: ignore[method-assign]  # called by the WSGI server after the response
        return response
