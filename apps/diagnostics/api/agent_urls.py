"""URLs below /ingest/v1/ on the agents' listener only."""

from django.urls import path

from apps.diagnostics.api import agent_views

urlpatterns = [
    path("diagnostics/next", agent_views.next_job),
    path("diagnostics/<uuid:job_id>/result", agent_views.result),
]
