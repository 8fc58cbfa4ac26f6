"""The description of the REST API, generated on request, and a page to read it and to try it on."""

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

    # The library's own view would answer anybody.
    authentication_classes = TenantView.authentication_classes
    permission_classes = TenantView.permission_classes
    permission_map = {"get": Permission.SELF}
    expensive = frozenset({"get"})

    def handle_exception(self, exc: Exception) -> Response:
        # A refusal is JSON here too, whatever the description itself is written in.
        self.request.accepted_renderer = JSONRenderer()
        self.request.accepted_media_type = JSONRenderer.media_type
        return super().handle_exception(exc)

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        answer: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]  # the library
        return answer


def api_docs(request: HttpRequest) -> HttpResponse:
    """The description for people; calls that they try are made as they themselves."""
    return render(request, "rest/api_docs.html")
