"""The tenant's audit log: search, and whether its chain is intact."""

from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.audit.background import request_verification
from apps.audit.chain import Fault
from apps.audit.models import Record, Verification
from apps.authorization.access import Access
from apps.authorization.permissions import Permission
from apps.core import clock
from apps.core.admission import expensive
from apps.pages.decorators import access_of, requires
from apps.pages.paging import paginate
from apps.pages.params import page_number, text_param
from apps.pages.states import CRITICAL, OK, UNKNOWN, State

SEARCH_FIELDS = ("action", "actor", "object")
FAULTS = {
    Fault.CHANGED: _lazy("The content of the record was changed."),
    Fault.MISSING: _lazy("The record is missing."),
    Fault.UNLINKED: _lazy("The record does not follow the one before it."),
    Fault.CUT: _lazy("Records at the end of the log are missing."),
    Fault.HEAD_DIFFERS: _lazy("The last record differs from the stored head of the chain."),
    Fault.BEYOND_HEAD: _lazy("There are records beyond the stored head of the chain."),
}


@dataclass(frozen=True)
class LastVerification:
    """The last verification of the chain."""

    state: State
    row: Verification | None
    fault: str | Promise


@never_cache
@require_GET
@requires(Permission.AUDIT_VIEW)
@expensive
def audit(request: HttpRequest) -> HttpResponse:
    """Newest records first."""
    access = access_of(request)
    params = {name: text_param(request, name) for name in SEARCH_FIELDS}
    rows, pager = paginate(_search(access, params), number=page_number(request), params=params)
    context = {
        "rows": rows,
        "pager": pager,
        "params": params,
        "is_filtered": any(params.values()),
        "verification": _last_verification(),
    }
    return render(request, "accounts/audit.html", context)


@require_POST
@requires(Permission.AUDIT_VIEW)
def verify(request: HttpRequest) -> HttpResponse:
    """Request a verification. A worker runs it: a long chain would occupy a web thread."""
    request_verification(tenant_id=access_of(request).tenant.pk, at=clock.now())
    return redirect("accounts:audit")


def _search(access: Access, params: dict[str, str]) -> QuerySet[Record]:
    rows = access.visible(Record.objects.order_by("-sequence"), Permission.AUDIT_VIEW)
    if params["action"]:
        rows = rows.filter(action__icontains=params["action"])
    if params["actor"]:
        rows = rows.filter(actor__label__icontains=params["actor"])
    if params["object"]:
        text = params["object"]
        rows = rows.filter(Q(entity_id=text) | Q(detail__name__icontains=text))
    return rows


def _last_verification() -> LastVerification:
    row = Verification.objects.first()
    if row is None or row.finished_at is None:
        return LastVerification(
            State(UNKNOWN.look, UNKNOWN.icon, _lazy("Not verified yet"), 3), row, ""
        )
    if row.first_bad is None:
        return LastVerification(State(OK.look, OK.icon, _lazy("Intact"), OK.rank), row, "")
    broken = State(CRITICAL.look, CRITICAL.icon, _lazy("Broken"), CRITICAL.rank)
    return LastVerification(broken, row, FAULTS[Fault(row.fault)])
