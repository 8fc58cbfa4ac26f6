from django.urls import path

from apps.telemetry.api.resources import EventsView, LatestView, QueryView

urlpatterns = [
    path("metrics/latest/", LatestView.as_view(), name="metrics-latest"),
    path("events/", EventsView.as_view(), name="events"),
    path("metrics/query/", QueryView.as_view(), name="metrics-query"),
]
