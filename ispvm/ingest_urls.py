"""URLs of the ingest listener."""

from django.urls import include, path

from apps.core.health import livez

urlpatterns = [
    path("livez", livez),
    path("ingest/v1/", include("apps.ingest.api.urls")),
    path("ingest/v1/", include("apps.diagnostics.api.agent_urls")),
]

handler404 = "apps.ingest.api.base.unknown_path"
handler500 = "apps.ingest.api.base.internal_error"
