from django.urls import path

from apps.agents.web import views

app_name = "agents"

urlpatterns = [path("agents/", views.agents, name="list")]
