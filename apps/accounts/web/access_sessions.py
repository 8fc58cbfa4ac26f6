"""Access sessions of platform operators in this tenant: who, why, how long, and their audit records."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.accounts.access_sessions import access_sessions_with_records
from apps.accounts.models import BreakGlass
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.pages.decorators import access_of, requires
from apps.pages.paging import paginate
from apps.pages.params import page_number


@never_cache
@require_GET
@requires(Permission.AUDIT_VIEW)
def access_sessions(request: HttpRequest) -> HttpResponse:
    """Newest first."""
    rows = access_of(request).visible(
        BreakGlass.objects.select_related("user").order_by("-opened_at"), Permission.AUDIT_VIEW
    )
    page, pager = paginate(rows, number=page_number(request), params={})
    context = {"sessions": access_sessions_with_records(page), "pager": pager, "now": clock.now()}
    return render(request, "accounts/access_sessions.html", context)
