"""Everything the ingest listener answers."""

from django.urls import include, path

urlpatterns = [path("ingest/v1/", include("apps.ingest.api.urls"))]

handler404 = "apps.ingest.api.edge.unknown_path"
handler500 = "apps.ingest.api.edge.broken"
