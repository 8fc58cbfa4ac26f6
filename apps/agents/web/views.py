"""The agents page and the enrollment wizard."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from apps.agents import services
from apps.agents.errors import AgentNameTaken
from apps.agents.selectors import get_visible_agent
from apps.agents.web.forms import NewAgentForm
from apps.agents.web.pages import agent_rows, agents_page
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.inventory.selectors import visible_devices, visible_sites
from apps.pages.decorators import access_of, fresh_sign_in, requires
from apps.pages.params import is_partial_request


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.AGENTS_VIEW)
def agents(request: HttpRequest) -> HttpResponse:
    """All agents, offline ones first."""
    access = access_of(request)
    page = agents_page(access, at=clock.now())
    template = "agents/_list.html" if is_partial_request(request) else "agents/list.html"
    return render(request, template, {"page": page, "section": "agents"})


@require_http_methods(["GET", "POST"])
@requires(Permission.AGENTS_MANAGE)
@fresh_sign_in
def new(request: HttpRequest) -> HttpResponse:
    """Wizard step 1: create the agent. It is assigned to its site."""
    access = access_of(request)
    form = NewAgentForm(
        request.POST if request.method == "POST" else None,
        sites=visible_sites(access).order_by("name"),
        devices=visible_devices(access).order_by("name"),
    )
    if not form.is_valid():
        status = 422 if form.is_bound else 200
        return render(
            request, "agents/new.html", {"form": form, "section": "agents"}, status=status
        )
    at = clock.now()
    try:
        agent = services.create_agent(**form.cleaned_data, actor=access.actor, at=at)
    except AgentNameTaken as error:
        form.add_error("name", error.message)
        return render(request, "agents/new.html", {"form": form, "section": "agents"}, status=422)
    if agent.site_id:
        services.assign_agent(agent=agent, site_ids=[agent.site_id], actor=access.actor, at=at)
    return redirect("agents:enroll", agent.id)


@never_cache
@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.AGENTS_MANAGE)
def enroll(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """Wizard steps 2 and 3: issue a token, wait for the first heartbeat."""
    access = access_of(request)
    agent = get_visible_agent(access, agent_id)
    row = next(row for row in agent_rows(access, at=clock.now()) if row.id == agent.id)
    template = "agents/_connection.html" if is_partial_request(request) else "agents/enroll.html"
    may_approve = access.may(Permission.LOGINS_APPROVE)
    context = {"agent": agent, "row": row, "section": "agents", "may_approve": may_approve}
    return render(request, template, context)


@never_cache
@require_POST
@requires(Permission.AGENTS_MANAGE)
@fresh_sign_in
def issue(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """Show the token in the enrollment command, once. Reloading issues another token and invalidates this one."""
    access = access_of(request)
    agent = get_visible_agent(access, agent_id)
    token = services.issue_enroll_token(agent=agent, actor=access.actor, at=clock.now())
    row = next(row for row in agent_rows(access, at=clock.now()) if row.id == agent.id)
    context = {"agent": agent, "row": row, "token": token, "section": "agents"}
    return render(request, "agents/enroll.html", context)
