"""Agents: who speaks, who is silent, what each carries."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from apps.accounts.permissions import Permission
from apps.accounts.web.doors import access_of, requires
from apps.agents.web.pages import agents_page
from apps.core import clock
from apps.core.page import wants_part


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.AGENTS_VIEW)
def agents(request: HttpRequest) -> HttpResponse:
    """All of them, the silent first."""
    access = access_of(request)
    page = agents_page(access, at=clock.now())
    template = "agents/_list.html" if wants_part(request) else "agents/list.html"
    return render(request, template, {"page": page, "section": "agents"})
