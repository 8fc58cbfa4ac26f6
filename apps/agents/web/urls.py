from django.urls import path

from apps.agents.web import logins, views

app_name = "agents"

urlpatterns = [
    path("agents/", views.agents, name="list"),
    path("agents/new/", views.new, name="new"),
    path("agents/<uuid:agent_id>/enroll/", views.enroll, name="enroll"),
    path("agents/<uuid:agent_id>/approve-host/", logins.approve_host, name="approve-host"),
    path("logins/", logins.logins, name="logins"),
    path("logins/approve/", logins.approve_chosen, name="approve-logins"),
    path("devices/<uuid:device_id>/login/", logins.device_login, name="device-login"),
    path("devices/<uuid:device_id>/login/decide/", logins.decide, name="decide-login"),
    path("agents/<uuid:agent_id>/token/", views.issue, name="issue"),
]
