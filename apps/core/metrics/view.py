"""`GET /metrics` of the web process."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse

from apps.core.metrics.access import may_read
from apps.core.metrics.exposition import CONTENT_TYPE, exposition

# A request that came through a proxy is a stranger's, however near the proxy stands.
PROXY_HEADERS = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Via")


@login_not_required
def metrics(request: HttpRequest) -> HttpResponse:
    """The numbers, for this host and the operator's allow-list; for everybody else there is no such page."""
    proxied = any(name in request.headers for name in PROXY_HEADERS)
    peer = request.META.get("REMOTE_ADDR", "")
    if proxied or not may_read(peer, settings.ISPVM_METRICS_ALLOW):
        raise Http404
    return HttpResponse(exposition(), content_type=CONTENT_TYPE)
