"""Partials that pages poll every few seconds: an unchanged one is answered with 304."""

import hashlib
import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

Handler = Callable[[HttpRequest], HttpResponseBase]

#: Masked differently in each response, so it is no part of the ETag.
_TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="[^"]*"')


class PartialETagMiddleware:
    """Adds an ETag to each htmx response and answers 304 when it matches."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer = self.get_response(request)
        is_part = request.method == "GET" and request.headers.get("HX-Request") == "true"
        if not is_part or answer.status_code != 200 or not isinstance(answer, HttpResponse):  # noqa: PLR2004
            return answer
        tag = 'W/"{}"'.format(hashlib.sha256(_TOKEN.sub(b"", answer.content)).hexdigest()[:32])
        answer["ETag"] = tag
        answer.setdefault("Cache-Control", "private, no-cache")
        if request.headers.get("If-None-Match") != tag:
            return answer
        forwarded = ("ETag", "Cache-Control", "Vary")
        return HttpResponse(status=304, headers={n: answer[n] for n in forwarded if n in answer})
