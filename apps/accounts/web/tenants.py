"""Choosing a tenant: one's own, and for platform operators all of them, by opening an access session."""

from typing import cast
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.accounts import platform
from apps.accounts.accept_invitation import pending_invitations
from apps.accounts.access_sessions import MAX_REASON_LENGTH
from apps.accounts.factor_policy import require_own_factor
from apps.accounts.models import User
from apps.accounts.selectors import is_platform_operator, tenants_of
from apps.accounts.session_tenant import NOT_CHOSEN, SESSION_TENANT
from apps.accounts.web.responses import safe_next
from apps.authorization.permissions import Permission
from apps.authorization.requests import TenantHttpRequest
from apps.core import clock
from apps.core.errors import DomainError, NotVisible
from apps.events.volumes import low_volumes
from apps.pages.decorators import fresh_sign_in
from apps.pages.paging import paginate
from apps.pages.params import page_number, text_param
from apps.tenancy.models import Tenant

MAX_DIGITS = 4


@never_cache
@require_GET
def tenants(request: HttpRequest) -> HttpResponse:
    """The list of tenants."""
    return _render(request)


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Bind the session to one of the user's own tenants. Membership is checked again on each request."""
    tenant_id = _posted_tenant(request)
    tenant = next((t for t in tenants_of(_user(request)) if str(t.pk) == tenant_id), None)
    if tenant is None:
        raise NotVisible
    request.session[SESSION_TENANT] = str(tenant.pk)
    return redirect(safe_next(request, request.POST.get("next", "/")))


@fresh_sign_in
@require_POST
def open_tenant(request: HttpRequest) -> HttpResponse:
    """Open an access session as a platform operator."""
    access = platform.platform_access(_user(request))
    require_own_factor(request.session)
    minutes = request.POST.get("minutes", "")
    is_number = minutes.isascii() and minutes.isdecimal() and len(minutes) <= MAX_DIGITS
    try:
        session = platform.open_access_session(
            access=access,
            tenant_id=_uuid(_posted_tenant(request)),
            reason=request.POST.get("reason", ""),
            minutes=int(minutes) if is_number else 0,
            at=clock.now(),
        )
    except (platform.ReasonNeeded, platform.TooLong) as error:
        return _render(request, error=error)
    request.session[SESSION_TENANT] = str(session.tenant_id)
    return redirect("/")


@require_POST
def exit_tenant(request: HttpRequest) -> HttpResponse:
    """Close the access session."""
    access = platform.platform_access(_user(request))
    tenant_id = request.session.get(SESSION_TENANT)
    request.session[SESSION_TENANT] = NOT_CHOSEN
    if tenant_id:
        platform.close_access_session(access=access, tenant_id=UUID(tenant_id), at=clock.now())
    return redirect("accounts:tenants")


def _render(request: HttpRequest, *, error: DomainError | None = None) -> HttpResponse:
    user = _user(request)
    access = cast(TenantHttpRequest, request).access
    context: dict[str, object] = {
        "tenants": tenants_of(user),
        "invitations": pending_invitations(user, clock.now()),
        "next": safe_next(request, request.GET.get("next", "/")),
        "may_audit": access is not None and access.may(Permission.AUDIT_VIEW),
        "error": error,
        "reason": request.POST.get("reason", "")[:MAX_REASON_LENGTH],
        "posted_tenant": _posted_tenant(request),
        "minutes": platform.DEFAULT_MINUTES,
        "max_minutes": platform.MAX_MINUTES,
    }
    if is_platform_operator(user):
        require_own_factor(request.session)
        search = text_param(request, "q")
        rows = Tenant.objects.filter(name__icontains=search).order_by("name", "pk")
        page_rows, pager = paginate(rows, number=page_number(request), params={"q": search})
        context |= {
            "is_operator": True,
            "search": search,
            "rows": page_rows,
            "pager": pager,
            "low_volumes": low_volumes(),
        }
    status = error.status if error else 200
    return render(request, "accounts/tenants.html", context, status=status)


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # LoginRequiredMiddleware redirects all others
    return request.user


def _posted_tenant(request: HttpRequest) -> str:
    return request.POST.get("tenant", "")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotVisible from None
