"""The OpenAPI description, generated on request, and the page that shows it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.authorization.permissions import Permission
from apps.rest.views import TenantView


class SchemaView(TenantView, SpectacularAPIView):
    """OpenAPI 3, to every member."""

    # The library's own view would allow anybody.
    authentication_classes = TenantView.authentication_classes
    permission_classes = TenantView.permission_classes
    permission_map = {"get": Permission.SELF}
    expensive = frozenset({"get"})

    def handle_exception(self, exc: Exception) -> Response:
        # A problem is JSON here too, whatever the format of the description.
        self.request.accepted_renderer = JSONRenderer()
        self.request.accepted_media_type = JSONRenderer.media_type
        return super().handle_exception(exc)

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        answer: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]  # the library
        return answer


def api_docs(request: HttpRequest) -> HttpResponse:
    """The description as a page; requests from it are made with the user's session."""
    return render(request, "rest/api_docs.html")
