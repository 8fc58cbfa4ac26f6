from django.urls import path

from apps.telemetry.api.resources import LatestView

urlpatterns = [path("metrics/latest/", LatestView.as_view(), name="metrics-latest")]
