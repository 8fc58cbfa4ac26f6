"""Liveness (this process responds) and readiness (it can reach the database)."""

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from apps.core import liveness


@login_not_required
def livez(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Handled by a worker thread, so that a process without a free thread does not respond."""
    hung = liveness.process.hung()
    if hung:
        return JsonResponse({"status": f"{len(hung)} threads hang"}, status=503)
    return JsonResponse({"status": "ok"})


@login_not_required
def readyz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "database unreachable"}, status=503)
    return JsonResponse({"status": "ok"})
