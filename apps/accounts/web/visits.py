"""Which platform operators were in this tenant, why, how long, and what they did."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.accounts.models import BreakGlass
from apps.accounts.visits import visits_with_acts
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.pages.decorators import access_of, requires
from apps.pages.paging import paginate
from apps.pages.params import page_number


@never_cache
@require_GET
@requires(Permission.AUDIT_VIEW)
def visits(request: HttpRequest) -> HttpResponse:
    """The newest visits first."""
    rows = access_of(request).visible(
        BreakGlass.objects.select_related("user").order_by("-opened_at"), Permission.AUDIT_VIEW
    )
    found, pager = paginate(rows, number=page_number(request), params={})
    context = {"visits": visits_with_acts(found), "pager": pager, "now": clock.now()}
    return render(request, "accounts/visits.html", context)
