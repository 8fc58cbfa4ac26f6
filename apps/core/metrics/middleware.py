"""django-prometheus with bounded labels: clients can send any method name."""

from typing import Any

from django_prometheus.middleware import PrometheusAfterMiddleware, PrometheusBeforeMiddleware

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestsBefore(PrometheusBeforeMiddleware):  # type: ignore[misc]  # the library has no types
    """Outermost: measures requests including all other middleware."""


class RequestsByView(PrometheusAfterMiddleware):  # type: ignore[misc]  # the library has no types
    """Innermost: labels by view, method and status."""

    def label_metric(
        self, metric: Any, request: Any, response: Any = None, **labels: str | None
    ) -> Any:
        if labels.get("method", "GET") not in METHODS:
            labels["method"] = "other"
        return super().label_metric(metric, request, response, **labels)
