"""`GET /metrics` of the web process."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse

from apps.core.metrics.access import is_allowed
from apps.core.metrics.exposition import CONTENT_TYPE, exposition

# A proxied request may come from anywhere, even if the proxy is local.
PROXY_HEADERS = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Via")


@login_not_required
def metrics(request: HttpRequest) -> HttpResponse:
    """Metrics, for this host and the operator's allow-list; 404 for others."""
    proxied = any(name in request.headers for name in PROXY_HEADERS)
    peer = request.META.get("REMOTE_ADDR", "")
    if proxied or not is_allowed(peer, settings.ISPVM_METRICS_ALLOW):
        raise Http404
    return HttpResponse(exposition(), content_type=CONTENT_TYPE)
