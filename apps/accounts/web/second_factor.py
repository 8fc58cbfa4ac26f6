"""The page for users who must have a second factor: set one up, or confirm with the existing one."""

from typing import cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.accounts import second_factor
from apps.accounts.factor_policy import SESSION_OPERATOR, has_own_factor
from apps.accounts.models import User
from apps.accounts.web.responses import safe_next


@never_cache
@require_GET
def second_factor_page(request: HttpRequest) -> HttpResponse:
    """The target of ``SecondFactorMiddleware``."""
    next_url = safe_next(request, request.GET.get("next", "/"))
    if has_own_factor(request.session):
        return redirect(next_url)
    user = cast(User, request.user)
    context = {
        "has_factor": second_factor.is_required(user),
        "is_operator": request.session.get(SESSION_OPERATOR, False),
        "next": next_url,
    }
    return render(request, "accounts/second_factor.html", context)
