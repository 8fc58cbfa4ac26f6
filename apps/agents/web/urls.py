from django.urls import path

from apps.agents.web import views

app_name = "agents"

urlpatterns = [
    path("agents/", views.agents, name="list"),
    path("agents/new/", views.new, name="new"),
    path("agents/<uuid:agent_id>/enroll/", views.enroll, name="enroll"),
    path("agents/<uuid:agent_id>/token/", views.issue, name="issue"),
]
