"""Everything the ingest listener answers."""

from django.urls import include, path

urlpatterns = [path("ingest/v1/", include("apps.ingest.api.urls"))]
