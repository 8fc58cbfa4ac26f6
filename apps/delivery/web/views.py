"""The delivery log, one delivery with its attempts, and resending."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from apps.authorization.permissions import Permission
from apps.core import clock
from apps.delivery import selectors, services
from apps.delivery.choices import DeliveryState
from apps.delivery.web.pages import delivery_log_page, delivery_page
from apps.pages.decorators import access_of, requires
from apps.pages.params import is_partial_request, page_number, text_param


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.WEBHOOKS_VIEW)
def delivery_log(request: HttpRequest) -> HttpResponse:
    """Deliveries, newest first."""
    access = access_of(request)
    state = text_param(request, "state")
    page = delivery_log_page(
        access,
        state=state if state in DeliveryState.values else "",
        endpoint=text_param(request, "endpoint"),
        number=page_number(request),
        at=clock.now(),
    )
    template = (
        "delivery/_deliveries.html" if is_partial_request(request) else "delivery/deliveries.html"
    )
    return render(request, template, {"page": page, "section": "webhooks"})


@require_GET
@vary_on_headers("HX-Request")
@requires(Permission.WEBHOOKS_VIEW)
def delivery(request: HttpRequest, delivery_id: UUID) -> HttpResponse:
    """One delivery with every attempt."""
    access = access_of(request)
    row = selectors.get_visible_delivery(access, delivery_id)
    page = delivery_page(access, row, at=clock.now())
    template = (
        "delivery/_delivery.html" if is_partial_request(request) else "delivery/delivery.html"
    )
    return render(request, template, {"page": page, "section": "webhooks"})


@require_POST
@requires(Permission.WEBHOOKS_MANAGE)
def resend(request: HttpRequest, delivery_id: UUID) -> HttpResponse:
    """Resend the same bytes. No effect while the delivery is pending."""
    access = access_of(request)
    row = selectors.get_visible_delivery(access, delivery_id)
    services.resend_delivery(delivery=row, actor=access.actor, at=clock.now())
    return redirect("delivery:delivery", row.id)
