"""Where a person works: the tenants they belong to; for platform operators, all of them, with a reason and an end."""

from typing import cast
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.accounts import platform
from apps.accounts.accepting import pending_invitations
from apps.accounts.factor_policy import require_own_factor
from apps.accounts.models import User
from apps.accounts.selectors import is_platform_operator, tenants_of
from apps.accounts.session_tenant import NOT_CHOSEN, SESSION_TENANT
from apps.accounts.visits import LONGEST_REASON
from apps.accounts.web.gate import safe_next
from apps.authorization.permissions import Permission
from apps.authorization.requests import TenantHttpRequest
from apps.core import clock
from apps.core.errors import DomainError, NotVisible
from apps.events.volumes import low_volumes
from apps.pages.decorators import fresh_sign_in
from apps.pages.paging import paginate
from apps.pages.params import page_number, text_param
from apps.tenancy.models import Tenant

MOST_DIGITS = 4


@never_cache
@require_GET
def tenants(request: HttpRequest) -> HttpResponse:
    """The page on which one chooses."""
    return _page(request)


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Work in one of one's own tenants from now on. Asked again on each request: the session only remembers."""
    chosen = next((t for t in tenants_of(_person(request)) if str(t.pk) == _asked(request)), None)
    if chosen is None:
        raise NotVisible
    request.session[SESSION_TENANT] = str(chosen.pk)
    return redirect(safe_next(request, request.POST.get("next", "/")))


@fresh_sign_in
@require_POST
def enter(request: HttpRequest) -> HttpResponse:
    """A platform operator goes into a tenant."""
    access = platform.platform_access(_person(request))
    require_own_factor(request.session)
    minutes = request.POST.get("minutes", "")
    is_number = minutes.isascii() and minutes.isdecimal() and len(minutes) <= MOST_DIGITS
    try:
        stay = platform.enter_tenant(
            access=access,
            tenant_id=_uuid(_asked(request)),
            reason=request.POST.get("reason", ""),
            minutes=int(minutes) if is_number else 0,
            at=clock.now(),
        )
    except (platform.ReasonNeeded, platform.TooLong) as fault:
        return _page(request, fault=fault)
    request.session[SESSION_TENANT] = str(stay.tenant_id)
    return redirect("/")


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """And out again."""
    access = platform.platform_access(_person(request))
    chosen = request.session.get(SESSION_TENANT)
    request.session[SESSION_TENANT] = NOT_CHOSEN
    if chosen:
        platform.leave_tenant(access=access, tenant_id=UUID(chosen), at=clock.now())
    return redirect("accounts:tenants")


def _page(request: HttpRequest, *, fault: DomainError | None = None) -> HttpResponse:
    user = _person(request)
    access = cast(TenantHttpRequest, request).access
    context: dict[str, object] = {
        "tenants": tenants_of(user),
        "invitations": pending_invitations(user, clock.now()),
        "next": safe_next(request, request.GET.get("next", "/")),
        "may_audit": access is not None and access.may(Permission.AUDIT_VIEW),
        "fault": fault,
        "reason": request.POST.get("reason", "")[:LONGEST_REASON],
        "asked": _asked(request),
        "minutes": platform.MINUTES,
        "most_minutes": platform.MOST_MINUTES,
    }
    if is_platform_operator(user):
        require_own_factor(request.session)
        words = text_param(request, "q")
        rows = Tenant.objects.filter(name__icontains=words).order_by("name", "pk")
        found, pager = paginate(rows, number=page_number(request), params={"q": words})
        context |= {
            "is_operator": True,
            "words": words,
            "rows": found,
            "pager": pager,
            "low_volumes": low_volumes(),
        }
    status = fault.status if fault else 200
    return render(request, "accounts/tenants.html", context, status=status)


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # nobody passes the sign-in middleware otherwise
    return request.user


def _asked(request: HttpRequest) -> str:
    return request.POST.get("tenant", "")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotVisible from None
